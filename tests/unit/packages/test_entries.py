import pytest
from msgspec.structs import replace

from signalbox.errors import InvariantError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.entries import (
    DOMAIN,
    Entry,
    Releases,
    Step,
    Waiting,
    answer,
    entry_of,
    next_step,
    record_of,
    release_key,
)
from signalbox.packages.findings import Level, Objection
from signalbox.packages.releases import (
    Build,
    Judged,
    Progress,
    Published,
    Reason,
    Release,
    Retried,
    State,
    begin,
)

VERSION = "npm/acme/ui/1.0.0"
NOW = 1_000.0
WAVES = (("npm/acme/a",), ("npm/acme/b",))


def release(state: State, *, acts: bool = True, round_: int = 1, tries: int = 0, wave: int = 0) -> Release:
    builds = {package: Build(Progress.RUNNING, 1, "b:1") for each in WAVES for package in each}
    return Release(
        version=VERSION,
        revision="r1",
        sequence=3,
        acts=acts,
        state=state,
        round=round_,
        tries=tries,
        waves=WAVES,
        wave=wave,
        builds=builds,
    )


def entry(state: State = State.BUILDING, *, wave: int = 0, round_: int = 1, waiting: bool = True) -> Entry:
    told = Waiting(token="t1", round=1, tries=0, wave=0)
    return Entry(
        release=release(state, wave=wave, round_=round_),
        version="1.0.0",
        repository="team",
        objections=(Objection("cycle", Level.WARN, "they wait for one another"),),
        waiting=told if waiting else None,
    )


def test_the_ledger_gives_back_what_it_was_given() -> None:
    assert entry_of(record_of(entry())) == entry()
    assert entry().package_version.shown == "@acme/ui 1.0.0"
    assert DOMAIN == "packages"


@pytest.mark.parametrize(
    ("state", "acting", "dry"),
    [
        (State.WAITING, Step.INSPECT, Step.INSPECT),
        (State.INSPECTED, Step.PLAN, Step.PLAN),
        (State.PLANNED, Step.BUILD, Step.SETTLE),
        (State.BUILDING, Step.BUILD, Step.SETTLE),
        (State.READY, Step.PROMOTE, Step.SETTLE),
        (State.PROMOTING, Step.PROMOTE, Step.SETTLE),
        (State.PROMOTED, Step.SETTLE, Step.SETTLE),
        (State.SUPERSEDED, Step.SETTLE, Step.SETTLE),
        (State.STOPPED, Step.SETTLE, Step.SETTLE),
        (State.FAILED, Step.SETTLE, Step.SETTLE),
    ],
)
def test_what_comes_next(state: State, acting: Step, dry: Step) -> None:
    assert next_step(release(state)) is acting
    assert next_step(release(state, acts=False)) is dry


def test_an_execution_of_a_round_or_a_try_that_is_past_only_settles() -> None:
    now = entry(round_=2)
    assert answer(now, 2, 0) == {"release": VERSION, "round": 2, "tries": 0, "next": "build"}
    assert answer(now, 1, 0)["next"] == "settle"
    assert answer(now, 2, 1)["next"] == "settle"


def test_who_waits_for_a_wave_waits_no_longer_than_for_that_wave() -> None:
    assert not entry().has_waited
    assert not entry(State.PLANNED).has_waited
    assert entry(wave=1).has_waited
    assert entry(round_=2).has_waited
    assert entry(State.READY).has_waited
    assert entry(State.FAILED).has_waited
    assert not entry(State.FAILED, waiting=False).has_waited


def test_a_release_is_told_and_what_says_nothing_new_is_not_written() -> None:
    ledger = MemoryLedger()
    releases = Releases(ledger)
    first = Entry(release=begin(VERSION, Published("r1", 3), acts=True), version="1.0.0", repository="team")
    assert releases.read(VERSION) is None
    assert releases.change(VERSION, lambda known: known or first) == first
    told = releases.advance(VERSION, Judged(1, Level.DENY), detail="none")
    assert (told.release.state, told.release.reason, told.detail) == (
        State.FAILED,
        Reason.POLICY,
        "none",
    )
    before = ledger.records([release_key(VERSION)])
    assert releases.advance(VERSION, Judged(1, Level.ALLOW), detail="late") == told
    assert ledger.records([release_key(VERSION)]) == before
    assert releases.known(VERSION) == told
    assert releases.advance(VERSION, Retried(1, 0)).release.round == 2


def test_a_release_that_must_be_there_and_is_not_is_a_bug() -> None:
    releases = Releases(MemoryLedger())
    with pytest.raises(InvariantError, match="no release"):
        releases.known(VERSION)
    with pytest.raises(InvariantError, match="no release"):
        releases.advance(VERSION, Retried(1, 0))


def test_the_versions_of_a_package_that_are_not_over() -> None:
    releases = Releases(MemoryLedger())
    assert releases.versions("npm/acme/ui") == ()
    assert releases.set_versions("npm/acme/ui", lambda known: (*known, VERSION)) == (VERSION,)
    assert releases.set_versions("npm/acme/ui", lambda known: known) == (VERSION,)
    assert releases.versions("npm/acme/ui") == (VERSION,)


def test_in_another_round_what_was_known_of_the_last_is_forgotten() -> None:
    ledger = MemoryLedger()
    releases = Releases(ledger)
    known = replace(
        entry(State.FAILED), decisions=2, projects={"npm/acme/a": "a"}, detail="…", troubles={"x": "y"}
    )
    denied = replace(known.release, reason=Reason.POLICY)
    releases.change(VERSION, lambda _: replace(known, release=denied))
    again = releases.advance(VERSION, Retried(1, 0))
    assert again.release.round == 2
    assert (again.objections, again.decisions, again.projects) == ((), 0, {})
    assert (again.detail, again.troubles) == ("", {})
    assert (again.repository, again.waiting) == (known.repository, known.waiting)


def test_in_the_same_round_it_is_kept() -> None:
    releases = Releases(MemoryLedger())
    known = replace(entry(State.PROMOTING), troubles={"x": "y"})
    releases.change(VERSION, lambda _: known)
    after = releases.advance(VERSION, Retried(1, 0), detail="asked again")
    assert (after.objections, after.troubles, after.detail) == (known.objections, {"x": "y"}, "asked again")
