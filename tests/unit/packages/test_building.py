from collections import Counter

import msgspec
import pytest

from signalbox.clock import iso
from signalbox.errors import (
    AccessDeniedError,
    InvariantError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    UnavailableError,
)
from signalbox.packages.building import (
    FORGOTTEN_SECONDS,
    LEASE_SECONDS,
    START_SECONDS,
)
from signalbox.packages.ends import YOUNG_SECONDS
from signalbox.packages.entries import Purpose, Task, build_key
from signalbox.packages.releases import Build, Progress, Published, Reason, State, Superseded, Withdrawn
from tests.unit.packages.building_site import RECEIVES, VERSION, Site, package, planned, project
from tests.unit.packages.fake_codeartifact import ACCOUNT, NOON, TEAM
from tests.unit.packages.fake_codebuild import FakeBuild, event_of

DIAMOND = (("left", "right"), ("top",))
DENIED = AccessDeniedError("StartBuild: AccessDeniedException: not authorized")
BUSY = ThrottledError("StartBuild: AccountLimitExceededException: Cannot have more builds in queue")


def states(site: Site) -> dict[str, Progress]:
    return {name.rpartition("/")[2]: build.progress for name, build in site.release.builds.items()}


# A wave


def test_a_wave_is_started_and_waited_for() -> None:
    site = Site(*DIAMOND)
    driven = site.build()
    assert driven.started == 2
    assert set(site.running()) == {"left", "right"}
    assert states(site) == {
        "left": Progress.RUNNING,
        "right": Progress.RUNNING,
        "top": Progress.PENDING,
    }
    assert site.entry.waiting is not None
    assert site.tokens.waiting == {"token-1"}


def test_a_build_knows_what_it_is_for_and_the_ledger_does() -> None:
    site = Site(["left"])
    site.build()
    [build] = site.codebuild.running()
    assert build.environment["SIGNALBOX_PACKAGE"] == package("left")
    assert build.environment["SIGNALBOX_TOKEN"]
    assert (build.environment["PACKAGE_DOMAIN"], build.environment["PACKAGE_DOMAIN_OWNER"]) == (
        "acme",
        ACCOUNT,
    )
    assert build.environment["PACKAGE_REPOSITORY"] == TEAM
    record = site.ledger.records([build_key(build.id)])[build_key(build.id)]
    assert msgspec.convert(record.body, Purpose) == Purpose(
        release=VERSION, round=1, package=package("left"), attempt=1
    )


def test_wave_after_wave_until_all_is_green() -> None:
    site = Site(*DIAMOND)
    site.build()
    ends = site.admit(*site.end())
    assert (ends.admitted, ends.succeeded, ends.failed, ends.started) == (2, 2, 0, 0)
    assert site.tokens.answered["token-1"] == {"release": VERSION, "round": 1, "tries": 0, "next": "build"}
    assert site.running() == {}, "the next wave is started by the step that waits for it"
    site.build()
    site.admit(*site.end())
    assert site.tokens.answered["token-2"]["next"] == "promote"
    assert site.release.state is State.READY
    assert site.entry.waiting is None


def test_no_more_than_so_many_at_once_and_the_next_as_places_come_free() -> None:
    site = Site(["a", "b", "c", "d", "e"], at_most=2)
    site.build()
    assert set(site.running()) == {"a", "b"}
    assert site.admit(*site.end("a")).started == 1
    assert set(site.running()) == {"b", "c"}
    assert site.admit(*site.end("b", "c")).started == 2
    assert set(site.running()) == {"d", "e"}
    site.admit(*site.end("d"), *site.end("e"))
    assert site.release.state is State.READY


def test_a_wave_goes_on_to_its_end_when_a_build_has_failed() -> None:
    site = Site(["a", "b", "c"], ["top"], at_most=2)
    site.build()
    site.admit(*site.end("a", status="FAILED", said="exit status 1"))
    assert set(site.running()) == {"b", "c"}
    assert site.release.state is State.BUILDING
    ends = site.admit(*site.end("b", status="FAILED", said="exit status 2"), *site.end("c"))
    assert (ends.succeeded, ends.failed) == (1, 1)
    assert (site.release.state, site.release.reason) == (State.FAILED, Reason.BUILD_FAILED)
    assert {name: "exit status" in why for name, why in site.entry.troubles.items()} == {
        package("a"): True,
        package("b"): True,
    }
    assert site.tokens.answered["token-1"]["next"] == "settle"
    assert "top" not in site.running()


def test_another_try_builds_what_was_red_and_nothing_else() -> None:
    site = Site(*DIAMOND)
    site.build()
    site.admit(*site.end("left"), *site.end("right", status="FAILED", said="exit status 1"))
    site.retry()
    site.build()
    assert set(site.running()) == {"right"}
    assert site.codebuild.builds[site.running()["right"]].environment["SIGNALBOX_ATTEMPT"] == "2"
    site.admit(*site.end())
    assert site.entry.troubles == {}
    assert site.tokens.answered["token-2"]["next"] == "build"


def test_a_stopped_build_stops_the_release() -> None:
    site = Site(["a"])
    site.build()
    site.admit(*site.end(status="STOPPED"))
    assert (site.release.state, site.release.reason) == (State.STOPPED, Reason.BUILD_STOPPED)


def test_how_long_builds_took_is_told() -> None:
    site = Site(["a", "b"])
    site.build()
    site.now += 90
    ends = site.admit(*site.end("a"))
    assert ends.seconds == (90.0,)
    site.now += 5
    site.end("b")
    assert site.build().seconds == (95.0,)


# What asks for nothing


@pytest.mark.parametrize(
    ("state", "next_"), [(State.READY, "promote"), (State.WAITING, "inspect"), (State.PROMOTED, "settle")]
)
def test_a_step_that_finds_nothing_to_build_answers_what_comes_next(state: State, next_: str) -> None:
    site = Site(["a"])
    site.change(release=msgspec.structs.replace(site.release, state=state))
    before = site.entry
    assert site.build().started == 0
    assert site.tokens.answered["token-1"]["next"] == next_
    assert site.entry == before


def test_a_step_of_a_round_that_is_past_is_over() -> None:
    site = Site(["a"])
    task = site.task()
    site.tell(Published("r2", 2))
    site.build(task)
    assert site.tokens.answered["token-1"] == {"release": VERSION, "round": 1, "tries": 0, "next": "settle"}
    assert site.entry.waiting is None


def test_an_older_execution_is_let_go_before_another_waits() -> None:
    site = Site(["a"])
    site.build()
    site.tell(Published("r2", 2))
    again = planned([["a"]])
    round_2 = msgspec.structs.replace(again.release, round=2, revision="r2", sequence=2)
    site.change(release=round_2, projects=again.projects)
    site.build()
    assert site.tokens.answered["token-1"]["next"] == "settle"
    assert site.entry.waiting is not None
    assert site.entry.waiting.token == "token-2"


def test_a_release_that_is_not_there() -> None:
    site = Site(["a"])
    with pytest.raises(InvariantError):
        site.build(Task(release="npm//nobody/1.0.0", round=1, token="t"))


def test_a_dry_run_builds_nothing() -> None:
    site = Site(["a"])
    site.change(release=msgspec.structs.replace(site.release, acts=False))
    site.build()
    assert site.codebuild.calls == Counter()
    assert site.tokens.answered["token-1"]["next"] == "settle"


# What CodeBuild refuses


def test_a_project_that_is_gone_fails_its_package_and_names_what_to_do() -> None:
    site = Site(["a", "b"])
    site.codebuild.projects.remove(project("a"))
    driven = site.build()
    assert (driven.started, driven.failed) == (1, 1)
    assert states(site) == {"a": Progress.FAILED, "b": Progress.RUNNING}
    why = site.entry.troubles[package("a")]
    assert project("a") in why
    assert "owner's parameter" in why
    assert site.tokens.answered == {}, "the wave goes on to its end"
    site.admit(*site.end())
    assert site.tokens.answered["token-1"]["next"] == "settle"


def test_a_package_without_a_project_fails() -> None:
    site = Site(["a"])
    site.change(projects={})
    site.build()
    assert states(site) == {"a": Progress.FAILED}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DENIED, "PackagesProjectPrefix"),
        (RefusedError("StartBuild: InvalidInputException: no source"), "no source"),
    ],
)
def test_a_build_that_is_refused_fails_its_package(error: RefusedError, said: str) -> None:
    site = Site(["a"])
    site.codebuild.failing["start"] = [error]
    site.build()
    assert said in site.entry.troubles[package("a")]
    assert site.release.state is State.FAILED
    assert site.tokens.answered["token-1"]["next"] == "settle"


def test_without_a_place_in_the_account_the_step_fails_for_now() -> None:
    site = Site(["a", "b", "c"])
    site.codebuild.places = 1
    why = site.build_until_held()
    assert "AccountLimitExceededException" in why
    assert "2 builds" in why
    assert set(site.running()) == {"a"}
    assert site.codebuild.calls["start"] == 2, "who is refused asks for no more"


def test_what_was_held_back_is_started_once_the_claim_is_out() -> None:
    site = Site(["a", "b"])
    site.codebuild.places = 1
    site.build_until_held()
    site.codebuild.places = 2
    assert "somebody else has claimed them" in site.build_until_held()
    site.now += LEASE_SECONDS
    assert site.build().started == 1
    assert set(site.running()) == {"a", "b"}


def test_the_end_of_a_build_starts_what_was_held_back() -> None:
    site = Site(["a", "b"])
    site.codebuild.places = 1
    site.build_until_held()
    site.now += LEASE_SECONDS
    assert site.admit(*site.end("a")).started == 1
    assert set(site.running()) == {"b"}


def test_the_message_comes_again_where_a_place_is_missing_and_in_the_end_it_does_not() -> None:
    site = Site(["a", "b", "c"], at_most=1)
    site.build()
    [end] = site.end("a")
    site.codebuild.failing["start"] = [BUSY] * 2
    ends = site.admit(end)
    assert (ends.admitted, ends.started, len(ends.returned)) == (1, 0, 1)
    assert min(site.queue.waits.values()) >= LEASE_SECONDS
    assert "AccountLimitExceeded" in ends.errors[0]
    site.now += LEASE_SECONDS
    ends = site.admit(end, receives=RECEIVES)
    assert (ends.echoed, ends.waits) == (1, {}), "the step's next hour sees to it"
    site.now += LEASE_SECONDS
    site.build()
    assert set(site.running()) == {"b"}


def test_who_has_no_time_left_starts_no_more() -> None:
    site = Site(["a", "b", "c"])
    site.codebuild.meanwhile = lambda _: site.wait(START_SECONDS)
    assert "no time left" in site.build_until_held()
    assert states(site) == {"a": Progress.RUNNING, "b": Progress.RUNNING, "c": Progress.STARTING}


# What is lost


def test_a_lost_event_is_taken_in_when_the_step_comes_again() -> None:
    site = Site(*DIAMOND)
    site.build()
    site.end()
    site.now += 3_600
    driven = site.build()
    assert driven.succeeded == 2
    assert set(site.running()) == {"top"}, "and the next wave begins"
    assert site.codebuild.calls["look"] == 1
    assert site.entry.waiting is not None
    assert (site.entry.waiting.token, site.entry.waiting.wave) == ("token-2", 1)


def test_who_crashed_between_starting_and_noting_leaves_the_build_to_be_found() -> None:
    site = Site(["a", "b"], at_most=1)
    site.build()
    [end] = site.end("a")
    site.codebuild.failing["start"] = [UnavailableError("ReadTimeout")]
    assert site.admit(end).started == 0
    resumed = site.release.builds[package("b")]
    assert (resumed.progress, resumed.claimed_at) == (Progress.STARTING, NOON)
    site.now += LEASE_SECONDS
    assert site.admit(end).started == 1
    assert site.codebuild.calls["find"] == 1
    assert len(site.codebuild.builds) == 2


@pytest.mark.parametrize("later", [LEASE_SECONDS, 400.0, 90_000.0])
@pytest.mark.parametrize("status", ["IN_PROGRESS", "SUCCEEDED", "FAILED"])
def test_a_build_whose_start_was_not_noted_is_found_however_late(
    later: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(["a"])
    with monkeypatch.context() as patched:
        site.codebuild.meanwhile = lambda _: patched.setattr(site.ledger, "put_records", failing)
        assert "no answer" in site.build_until_held()
    [build] = site.codebuild.builds.values()
    if status != "IN_PROGRESS":
        site.codebuild.end(build.id, status)
    site.now += later
    driven = site.build()
    assert len(site.codebuild.builds) == 1
    assert driven.started == 1
    expected = {"IN_PROGRESS": State.BUILDING, "SUCCEEDED": State.READY, "FAILED": State.FAILED}
    assert site.release.state is expected[status]


def test_a_build_that_codebuild_does_not_show_yet_is_left_in_peace() -> None:
    site = Site(["a"])
    site.build()
    site.codebuild.builds.clear()
    site.now += FORGOTTEN_SECONDS
    site.build()
    assert states(site) == {"a": Progress.RUNNING}
    site.now += 1
    driven = site.build()
    assert driven.failed == 1
    assert "deleted" in site.entry.troubles[package("a")]
    assert site.tokens.answered["token-3"]["next"] == "settle"


def test_while_builds_run_nobody_asks_how_they_are() -> None:
    site = Site([f"p{n:03}" for n in range(40)], at_most=10)
    site.build()
    while site.running():
        site.now += 300
        site.admit(*site.end(min(site.running())))
    assert site.release.state is State.READY
    assert site.codebuild.calls == {"start": 40}


# What changes in the middle


@pytest.mark.parametrize("event", [Superseded("npm/acme/ui/1.1.1"), Withdrawn(2), Published("r2", 2)])
def test_a_build_that_nobody_asks_for_any_more_is_stopped(
    event: Superseded | Withdrawn | Published,
) -> None:
    site = Site(["a"])
    site.codebuild.meanwhile = lambda _: site.tell(event)
    site.build()
    assert site.running() == {}
    assert [build.status for build in site.codebuild.builds.values()] == ["STOPPED"]
    assert site.tokens.answered["token-1"]["next"] == "settle"


def test_one_that_could_not_be_stopped_is_named() -> None:
    site = Site(["a"])
    site.codebuild.meanwhile = lambda _: site.tell(Superseded("npm/acme/ui/1.1.1"))
    site.codebuild.failing["stop"] = [NotFoundError("StopBuild: ResourceNotFoundException")]
    [error] = site.build().errors
    assert "runs for nothing" in error


def test_the_end_of_an_older_round_says_nothing() -> None:
    site = Site(["a"])
    site.build()
    [end] = site.end()
    site.tell(Published("r2", 2))
    ends = site.admit(end)
    assert (ends.admitted, ends.echoed) == (0, 1)
    assert site.tokens.answered["token-1"]["next"] == "settle", "nobody waits for that round"


# The queue


def test_the_same_end_again_says_nothing_new() -> None:
    site = Site(["a", "b"])
    site.build()
    [end] = site.end("a")
    assert site.admit(end, end).admitted == 1
    ends = site.admit(end)
    assert (ends.admitted, ends.echoed, ends.ends, ends.waits) == (0, 1, (), {})


def test_the_ends_of_several_releases_change_each_of_them_once() -> None:
    site = Site(["a", "b"])
    other = "npm/acme/core/2.0.0"
    site.add(planned([["c"]], other))
    site.codebuild.projects.add(project("c"))
    site.build()
    site.tokens.waiting.add("t-c")
    site.build(Task(release=other, round=1, token="t-c"))
    versions = {version: site.ledger.records([key])[key].version for version, key in keys(other).items()}
    ends = site.admit(*site.end())
    assert ends.admitted == 3
    for version, key in keys(other).items():
        # the ends, and that nobody waits any more
        assert site.ledger.records([key])[key].version == versions[version] + 2
    assert set(site.tokens.answered) == {"token-1", "t-c"}


def keys(other: str) -> dict[str, str]:
    return {version: f"release#{version}" for version in (VERSION, other)}


def stranger(ended_at: float) -> str:
    return event_of(FakeBuild("rebuild-z:9", "rebuild-z", {}, NOON - 900, "FAILED", ended_at))


def test_an_unknown_build_may_be_known_in_a_moment() -> None:
    site = Site(["a"])
    site.now += 10
    ends = site.admit(stranger(NOON))
    assert list(ends.waits.values()) == [5]  # soon at first
    assert list(site.admit(stranger(NOON), receives=RECEIVES - 1).waits.values()) == [int(YOUNG_SECONDS) - 10]
    assert (ends.returned, ends.errors, ends.ignored) == ((), (), 0)
    site.now += YOUNG_SECONDS
    ends = site.admit(stranger(NOON), receives=2)
    assert (ends.waits, ends.ignored) == ({}, 1)


def test_a_build_of_somebody_elses_is_ignored() -> None:
    site = Site(["a"])
    assert site.admit(stranger(NOON - YOUNG_SECONDS)).ignored == 1
    assert site.admit(stranger(NOON), receives=RECEIVES).ignored == 1
    running = FakeBuild("rebuild-z:9", "rebuild-z", {}, NOON)
    assert site.admit(event_of(running)).ignored == 1


def test_a_build_whose_release_has_expired_is_ignored() -> None:
    site = Site(["a"])
    site.build()
    [end] = site.end()
    site.ledger._records.pop(f"release#{VERSION}")
    assert site.admit(end).ignored == 1


def test_bad_input_is_kept_and_holds_up_nobody() -> None:
    site = Site(["a"])
    site.build()
    [end] = site.end()
    foreign = end.replace(ACCOUNT, "999999999999")
    ends = site.admit("{", '{"id": 3}', foreign, end)
    assert [rejection.code for rejection in ends.rejections] == ["malformed", "foreign-account"]
    assert list(ends.waits) == ["m1"], "what can't be read goes to the dead-letter queue"
    assert ends.admitted == 1
    assert len(site.ledger.rejections("packages", iso(NOON)[:10])) == 2


@pytest.mark.parametrize("step", ["records", "put_records", "succeed"])
def test_what_fails_comes_again_and_is_made_good(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(["a"], ["top"])
    site.build()
    [end] = site.end()
    with monkeypatch.context() as patched:
        patched.setattr(site.tokens if step == "succeed" else site.ledger, step, failing)
        ends = site.admit(end)
    assert ends.returned == ("m1",)
    assert ends.errors
    assert min(site.queue.waits.values()) >= LEASE_SECONDS
    site.admit(end, receives=2)
    assert site.tokens.answered["token-1"]["next"] == "build"


def failing(*_: object) -> None:
    raise UnavailableError("no answer")


def test_a_queue_that_does_not_answer_is_told_and_no_more() -> None:
    site = Site(["a"])
    site.queue.failing = [UnavailableError("no answer")]
    ends = site.admit(stranger(NOON))
    assert (len(ends.waits), ends.errors) == (1, ("no answer",))


def test_a_batch_that_takes_too_long_leaves_the_rest_for_later() -> None:
    site = Site(["a", "b"], at_most=1)
    other = "npm/acme/core/2.0.0"
    site.add(planned([["c"]], other))
    site.codebuild.projects.add(project("c"))
    site.build()
    site.build(Task(release=other, round=1, token="t-c"))
    site.codebuild.meanwhile = lambda _: site.wait(START_SECONDS + 1)
    ends = site.admit(*site.end())
    assert (ends.admitted, ends.returned) == (1, ("m2",))
    assert "no time left" in ends.errors[0]


def test_an_end_that_comes_before_its_start_is_noted_counts() -> None:
    """Its build was so quick that whoever started it is about to note it."""
    site = Site(["a"])
    site.codebuild.meanwhile = site.codebuild.end
    site.build()
    assert site.release.builds[package("a")] == Build(
        Progress.RUNNING, 1, next(iter(site.codebuild.builds)), claimed_at=NOON
    )
    site.admit(event_of(next(iter(site.codebuild.builds.values()))))
    assert site.release.state is State.READY
