import json
from typing import Any

import msgspec
import pytest

from signalbox.errors import RejectedError
from signalbox.eventbridge import parse_envelope
from signalbox.packages.builds import (
    WHY_CHARACTERS,
    Built,
    End,
    Phase,
    claim,
    environment,
    note,
    parse_end,
    take_in,
    why,
)
from signalbox.packages.entries import Entry, Purpose, Waiting
from signalbox.packages.releases import Build, Progress, Release, StartBuild, State
from tests.unit.packages.fake_codeartifact import NOON
from tests.unit.packages.fake_codebuild import FakeBuild, event_of, log_of

VERSION = "npm/acme/ui/1.1.0"
A, B, C = "npm/acme/a", "npm/acme/b", "npm/acme/c"
GREEN = FakeBuild("rebuild-a:1", "rebuild-a", {}, NOON, "SUCCEEDED", NOON + 90)
RED = FakeBuild("rebuild-b:2", "rebuild-b", {}, NOON, "FAILED", NOON + 30, "npm test. Reason: exit status 1")


def entry(wave: int = 0, *, state: State = State.PLANNED, builds: dict[str, Build] | None = None) -> Entry:
    release = Release(
        version=VERSION,
        revision="r1",
        sequence=3,
        acts=True,
        state=state,
        waves=((A, B), (C,)),
        wave=wave,
        builds={A: Build(), B: Build(), C: Build()} | (builds or {}),
    )
    waiting = Waiting(token="t1", round=1, tries=0, wave=0)
    return Entry(release=release, version="1.1.0", repository="team", waiting=waiting)


def purpose(package: str = A, round_: int = 1, attempt: int = 1) -> Purpose:
    return Purpose(release=VERSION, round=round_, package=package, attempt=attempt)


def end(build: FakeBuild = GREEN) -> End:
    ended = build.built.end
    assert ended is not None
    return ended


def parsed(body: str) -> End | None:
    return parse_end(parse_envelope(body))


# What CodeBuild tells


@pytest.mark.parametrize("build", [GREEN, RED], ids=["succeeded", "failed"])
def test_the_event_says_what_the_api_says(build: FakeBuild) -> None:
    assert parsed(event_of(build)) == end(build)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("SUCCEEDED", Progress.SUCCEEDED),
        ("FAILED", Progress.FAILED),
        ("FAULT", Progress.FAILED),
        ("TIMED_OUT", Progress.FAILED),
        ("STOPPED", Progress.STOPPED),
    ],
)
def test_every_way_to_end(status: str, outcome: Progress) -> None:
    told = parsed(event_of(msgspec.structs.replace(RED, status=status)))
    assert told is not None
    assert told.outcome is outcome
    assert bool(told.why) == (status != "SUCCEEDED")


def test_a_build_that_runs_has_not_ended() -> None:
    assert parsed(event_of(msgspec.structs.replace(GREEN, status="IN_PROGRESS", ended_at=0.0))) is None


NARROW = "Sep 1, 2017 4:14:26\N{NARROW NO-BREAK SPACE}PM"


@pytest.mark.parametrize(
    ("about", "ended_at", "seconds"),
    [
        ({}, NOON + 90, None),
        (None, NOON + 90, None),
        ("nothing", NOON + 90, None),
        ({"phases": "none"}, NOON + 90, None),
        ({"phases": [{"phase-type": "BUILD", "end-time": "yesterday"}]}, NOON + 90, None),
        ({"phases": [{"end-time": NARROW}], "build-start-time": NARROW}, 1504282466.0, 0.0),
        ({"phases": [{"phase-context": 3, "phase-status": "FAILED"}], "logs": {}}, NOON + 90, None),
    ],
)
def test_what_is_only_for_a_person_may_be_anything(
    about: Any, ended_at: float, seconds: float | None
) -> None:
    told = parsed(event_of(GREEN, **{"additional-information": about}))
    assert told is not None
    assert (told.ended_at, told.seconds) == (ended_at, seconds)


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"build-id": 3}, "malformed", "$.detail.build-id"),
        ({"build-id": "rebuild-a:1"}, "malformed", "$.detail.build-id"),
        (
            {"build-id": "arn:aws:codebuild:us-east-1:123456789012:build-batch/rebuild-a:1"},
            "malformed",
            "$.detail.build-id",
        ),
        ({"build-status": "DONE"}, "malformed", "$.detail.build-status"),
        ({"build-status": None}, "malformed", "$.detail.build-status"),
    ],
)
def test_bad_input_is_named_with_its_place(change: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(RejectedError) as refused:
        parsed(event_of(GREEN, **change))
    assert (refused.value.code, refused.value.where) == (code, where)


def test_an_event_of_something_else_is_refused() -> None:
    body = json.loads(event_of(GREEN)) | {"detail-type": "CodeBuild Build Phase Change"}
    with pytest.raises(RejectedError) as refused:
        parsed(json.dumps(body))
    assert refused.value.code == "unexpected-event"


# What a person reads


def test_why_a_build_failed() -> None:
    assert end(RED).why == (
        "build rebuild-b:2 failed in phase BUILD: COMMAND_EXECUTION_ERROR: npm test. Reason: exit status 1."
        f" Its log: {log_of('rebuild-b:2')}"
    )


@pytest.mark.parametrize(
    ("status", "phases", "said"),
    [
        ("SUCCEEDED", [], ""),
        ("STOPPED", [], "build b:1 was stopped."),
        ("FAILED", [Phase("BUILD", "FAILED", (": ",))], "build b:1 failed in phase BUILD."),
        ("TIMED_OUT", [Phase("BUILD", "TIMED_OUT")], "build b:1 ran out of time in phase BUILD."),
        (
            "FAULT",
            [Phase("PROVISIONING", "FAULT", ("INTERNAL_ERROR: no\n machine.",))],
            "build b:1 had a fault in phase PROVISIONING: INTERNAL_ERROR: no machine.",
        ),
        (
            "FAILED",
            [
                Phase("INSTALL", "SUCCEEDED"),
                Phase("BUILD", "FAILED", ("first",)),
                Phase("POST_BUILD", "FAILED"),
            ],
            "build b:1 failed in phase BUILD: first.",
        ),
    ],
)
def test_what_is_said_of_a_build(status: str, phases: list[Phase], said: str) -> None:
    assert why("b:1", status, phases, None) == said


def test_what_is_said_is_cut() -> None:
    said = why("b:1", "FAILED", [Phase("BUILD", "FAILED", ("x" * 9_000,))], None)
    assert said.count("x") == WHY_CHARACTERS


# What a build is told


def test_the_environment_of_a_build() -> None:
    build = StartBuild(A, 2, "0123", resumed=False)
    assert environment(entry(), build, "acme", "123456789012") == {
        "SIGNALBOX_RELEASE": VERSION,
        "SIGNALBOX_ROUND": "1",
        "SIGNALBOX_PACKAGE": A,
        "SIGNALBOX_ATTEMPT": "2",
        "SIGNALBOX_TOKEN": "0123",
        "PACKAGE_DOMAIN": "acme",
        "PACKAGE_DOMAIN_OWNER": "123456789012",
        "PACKAGE_REPOSITORY": "team",
        "PACKAGE_FORMAT": "npm",
        "PACKAGE_NAMESPACE": "acme",
        "PACKAGE_NAME": "ui",
        "PACKAGE_VERSION": "1.1.0",
    }


# What follows for the release


def test_what_is_due_is_claimed_at_once() -> None:
    after, builds = claim(entry(), NOON, 75.0, 20)
    assert [(build.package, build.resumed) for build in builds] == [(A, False), (B, False)]
    assert after.release.builds[A] == Build(Progress.STARTING, 1, "", NOON + 75.0, NOON)
    assert claim(after, NOON + 74.0, 75.0, 20) == (after, ())


def test_who_takes_over_knows_since_when_to_look() -> None:
    after, _ = claim(entry(), NOON, 75.0, 1)
    again, [build] = claim(after, NOON + 75.0, 75.0, 1)
    assert build.resumed
    assert again.release.builds[A] == Build(Progress.STARTING, 1, "", NOON + 150.0, NOON)
    started, _ = note(again, [(purpose(), Built("rebuild-a:1"))])
    assert started.release.builds[A] == Build(Progress.RUNNING, 1, "rebuild-a:1", claimed_at=NOON)


@pytest.mark.parametrize(
    "known",
    [
        msgspec.structs.replace(entry(), waiting=None),
        entry(wave=1, state=State.BUILDING),
        entry(state=State.SUPERSEDED),
    ],
    ids=["nobody", "for the wave before", "for nothing any more"],
)
def test_nothing_is_claimed_of_a_wave_that_nobody_waits_for(known: Entry) -> None:
    assert claim(known, NOON, 75.0, 20) == (known, ())


def test_ends_are_taken_in_and_the_troubles_named() -> None:
    after, news = take_in(entry(), [(purpose(A), end(GREEN)), (purpose(B), end(RED))])
    assert (after.release.state, after.release.red) == (State.FAILED, (B,))
    assert after.troubles == {B: end(RED).why}
    assert news == (end(GREEN), end(RED))
    assert take_in(after, [(purpose(A), end(GREEN)), (purpose(B), end(RED))]) == (after, ())


@pytest.mark.parametrize("late", [purpose(round_=2), purpose(attempt=2), purpose("npm/acme/z")])
def test_an_end_of_something_past_says_nothing(late: Purpose) -> None:
    known = entry()
    after, news = take_in(known, [(late, end())])
    assert after is known
    assert news == ()


def test_a_trouble_that_is_over_is_forgotten() -> None:
    known = msgspec.structs.replace(entry(builds={A: Build(attempt=2)}), troubles={A: "it failed", B: "too"})
    after, _ = take_in(known, [(purpose(attempt=2), end())])
    assert after.troubles == {B: "too"}


def test_a_build_that_had_ended_when_it_was_found_is_noted_with_its_end() -> None:
    after, news = note(entry(), [(purpose(A), Built("rebuild-a:1")), (purpose(B), RED.built)])
    assert {name: build.progress for name, build in after.release.builds.items()} == {
        A: Progress.RUNNING,
        B: Progress.FAILED,
        C: Progress.PENDING,
    }
    assert news == (end(RED),)
