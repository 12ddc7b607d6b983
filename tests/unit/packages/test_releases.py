from typing import Any

import msgspec
import pytest

from signalbox.packages.findings import Level
from signalbox.packages.releases import (
    BuildClaimed,
    BuildEnded,
    BuildStarted,
    Event,
    Inspect,
    Judged,
    MakePlan,
    Planned,
    Progress,
    Promote,
    Promoted,
    PromotionClaimed,
    PromotionPutOff,
    PromotionRefused,
    Published,
    Reason,
    Release,
    Retried,
    StartBuild,
    State,
    Superseded,
    Withdrawn,
    advance,
    begin,
    due,
)

VERSION = "npm//core/1.1.0"
NOW = 1_000.0
WAVES = (("npm//a", "npm//b"), ("npm//c",))


def after(*events: Event, acts: bool = True) -> Release:
    release = begin(VERSION, Published("r1", 1), acts=acts)
    for event in events:
        release = advance(release, event)
    return release


def judged(verdict: Level = Level.ALLOW, round_: int = 1) -> Judged:
    return Judged(round_, verdict)


def planned(*waves: tuple[str, ...], verdict: Level = Level.ALLOW, round_: int = 1) -> Planned:
    return Planned(round_, waves or WAVES, verdict)


def claimed(package: str, attempt: int = 1, at: float = NOW, round_: int = 1) -> BuildClaimed:
    return BuildClaimed(round_, f"npm//{package}", attempt, at, at + 60.0)


def started(package: str, attempt: int = 1, round_: int = 1) -> BuildStarted:
    return BuildStarted(round_, f"npm//{package}", attempt, f"build:{package}-{attempt}")


def ended(package: str, outcome: Any = Progress.SUCCEEDED, attempt: int = 1, round_: int = 1) -> BuildEnded:
    return BuildEnded(round_, f"npm//{package}", attempt, f"build:{package}-{attempt}", outcome)


def promoting(at: float = NOW) -> PromotionClaimed:
    return PromotionClaimed(1, at, at + 60.0)


TO_BUILDS = (judged(), planned())
TO_READY = (*TO_BUILDS, ended("a"), ended("b"), ended("c"))


def test_a_release_that_goes_well() -> None:
    states = []
    release = after()
    for event in (*TO_BUILDS, claimed("a"), started("a"), ended("a"), claimed("b"), started("b"), ended("b"),
                  claimed("c"), started("c"), ended("c"), promoting(), Promoted(1)):  # fmt: skip
        states.append((release.state, release.wave))
        release = advance(release, event)
    assert states == [
        (State.WAITING, 0),
        (State.INSPECTED, 0),
        (State.PLANNED, 0),
        *[(State.BUILDING, 0)] * 5,
        *[(State.BUILDING, 1)] * 3,
        (State.READY, 1),
        (State.PROMOTING, 1),
    ]
    assert release.state is State.PROMOTED
    assert due(release, NOW) == ()


def test_what_is_due() -> None:
    assert due(after(), NOW) == (Inspect(),)
    assert due(after(judged()), NOW) == (MakePlan(),)
    first = due(after(*TO_BUILDS), NOW)
    assert [(each.package, each.attempt, each.resumed) for each in first if isinstance(each, StartBuild)] == [
        ("npm//a", 1, False),
        ("npm//b", 1, False),
    ]
    assert due(after(*TO_BUILDS), NOW, at_most=1) == first[:1]
    assert due(after(*TO_BUILDS, claimed("a")), NOW) == first[1:]
    assert due(after(*TO_BUILDS, claimed("a")), NOW, at_most=1) == ()
    assert due(after(*TO_BUILDS, claimed("a"), claimed("b")), NOW) == ()
    assert due(after(*TO_READY), NOW) == (Promote("r1", resumed=False),)
    assert due(after(*TO_READY, promoting()), NOW) == ()


def test_who_takes_over_is_told_so() -> None:
    crashed = after(*TO_BUILDS, claimed("a"), claimed("b"), started("b"))
    (again,) = due(crashed, NOW + 60.0)
    assert isinstance(again, StartBuild)
    assert (again.package, again.resumed) == ("npm//a", True)
    assert again.token == next(iter(due(after(*TO_BUILDS), NOW))).token  # type: ignore[union-attr] # a StartBuild
    assert due(after(*TO_READY, promoting()), NOW + 60.0) == (Promote("r1", resumed=True),)


def test_what_may_run_already_counts() -> None:
    crashed = after(*TO_BUILDS, claimed("b"))
    assert [each.package for each in due(crashed, NOW + 60.0, at_most=1) if isinstance(each, StartBuild)] == [
        "npm//b"
    ]


def test_a_claim_is_one_persons() -> None:
    release = after(*TO_BUILDS, claimed("a"))
    assert advance(release, claimed("a", at=NOW + 59.0)) is release
    assert advance(release, claimed("a", at=NOW + 60.0)) is not release
    ready = after(*TO_READY, promoting())
    assert advance(ready, promoting(NOW + 59.0)) is ready
    assert advance(ready, promoting(NOW + 60.0)) is not ready


def test_a_dry_run_plans_and_stops_there() -> None:
    release = after(*TO_BUILDS, acts=False)
    assert release.state is State.PLANNED
    assert due(release, NOW) == ()
    assert advance(release, claimed("a")) is release
    nobody = after(judged(), Planned(1, (), Level.ALLOW), acts=False)
    assert nobody.state is State.READY
    assert due(nobody, NOW) == ()
    assert advance(nobody, promoting()) is nobody


def test_where_nobody_depends_on_it_all_is_green() -> None:
    assert after(judged(), Planned(1, (), Level.WARN)).state is State.READY


@pytest.mark.parametrize("events", [(judged(Level.DENY),), (judged(), planned(verdict=Level.DENY))])
def test_what_the_policy_denies_fails_and_can_be_judged_again(events: tuple[Event, ...]) -> None:
    release = after(*events)
    assert (release.state, release.reason) == (State.FAILED, Reason.POLICY)
    assert due(release, NOW) == ()
    again = advance(release, Retried(1, 0))
    assert (again.state, again.round, again.revision) == (State.WAITING, 2, "r1")
    assert advance(again, judged()) is again  # of the first round


def test_a_failed_build_stops_the_release_once_its_wave_is_through() -> None:
    release = after(*TO_BUILDS, ended("a", Progress.FAILED))
    assert release.state is State.BUILDING
    assert [each.package for each in due(release, NOW) if isinstance(each, StartBuild)] == ["npm//b"]
    release = advance(release, ended("b"))
    assert (release.state, release.reason, release.red) == (State.FAILED, Reason.BUILD_FAILED, ("npm//a",))
    assert due(release, NOW) == ()


def test_after_the_repair_the_failed_build_is_tried_again_and_no_other() -> None:
    release = after(*TO_BUILDS, ended("a", Progress.FAILED), ended("b"), Retried(1, 0))
    (again,) = due(release, NOW)
    assert isinstance(again, StartBuild)
    assert (again.package, again.attempt, again.resumed) == ("npm//a", 2, False)
    assert again.token != next(iter(due(after(*TO_BUILDS), NOW))).token  # type: ignore[union-attr] # a StartBuild
    assert advance(release, ended("a")) is release  # of the first attempt
    assert advance(advance(release, ended("a", attempt=2)), ended("c")).state is State.READY


def test_asked_once_is_one_more_try_however_often_it_is_told() -> None:
    release = after(*TO_BUILDS)
    again = advance(release, Retried(1, 0))
    assert (again.tries, again.state, again.builds) == (1, release.state, release.builds)
    assert again.execution != release.execution
    assert advance(again, Retried(1, 0)) is again
    assert advance(advance(again, Retried(1, 1)), Published("r2", 9)).tries == 0  # another round


def test_who_approves_a_dry_run_makes_it_a_real_one() -> None:
    dry = after(*TO_BUILDS, acts=False)
    assert due(advance(dry, Retried(1, 0)), NOW) == ()
    approved = advance(dry, Retried(1, 0, acts=True))
    assert len(due(approved, NOW)) == 2
    nobody = after(judged(), Planned(1, (), Level.ALLOW), acts=False)
    assert due(advance(nobody, Retried(1, 0, acts=True)), NOW) == (Promote("r1", resumed=False),)


def test_what_is_withdrawn_before_it_was_known_stays_so_for_what_was_told_earlier() -> None:
    gone = begin(VERSION, Withdrawn(7), acts=True)
    assert (gone.state, gone.reason) == (State.STOPPED, Reason.WITHDRAWN)
    assert advance(gone, Published("r1", 6)) is gone
    assert advance(gone, Retried(1, 0)) is gone
    back = advance(gone, Published("r1", 8))
    assert (back.state, back.revision, back.round) == (State.WAITING, "r1", 2)


def test_a_stopped_build_stops_the_release() -> None:
    release = after(*TO_BUILDS, ended("b"), ended("a", Progress.STOPPED))
    assert (release.state, release.reason, release.red) == (State.STOPPED, Reason.BUILD_STOPPED, ("npm//a",))
    assert advance(release, Retried(1, 0)).state is State.BUILDING


def test_the_events_of_a_build_in_any_order() -> None:
    release = after(*TO_BUILDS, ended("a"))  # before anybody has noted the start
    assert advance(release, started("a")) is release
    assert advance(release, claimed("a")) is release
    assert advance(release, ended("a", Progress.FAILED)) is release
    assert advance(release, ended("stranger")) is release


def test_a_wave_is_not_started_before_its_turn() -> None:
    release = after(*TO_BUILDS, ended("a"))
    assert advance(release, claimed("c")) is release


def test_a_revision_that_changes_begins_a_new_round() -> None:
    release = after(*TO_BUILDS, ended("a"), Published("r2", 5))
    assert (release.state, release.round, release.revision, release.builds) == (State.WAITING, 2, "r2", {})
    assert advance(release, ended("b")) is release
    assert release.execution != after().execution
    assert after(Published("r2", 5), Published("r3", 4)).revision == "r2"  # late


def test_the_same_revision_again_is_only_a_higher_number() -> None:
    release = after(*TO_BUILDS)
    again = advance(release, Published("r1", 9))
    assert again == msgspec.structs.replace(release, sequence=9)
    assert advance(release, Published("r1", 1)) is release


def test_a_version_that_is_withdrawn_is_not_promoted() -> None:
    release = after(*TO_READY, Withdrawn(5))
    assert (release.state, release.reason) == (State.STOPPED, Reason.WITHDRAWN)
    assert due(release, NOW) == ()
    assert advance(release, promoting()) is release
    assert advance(release, Retried(1, 0)) is release
    assert advance(release, Withdrawn(4)) is release
    assert advance(release, Published("r1", 4)) is release  # from before it was withdrawn
    assert advance(release, Published("r1", 6)).state is State.WAITING


@pytest.mark.parametrize("events", [(), (judged(),), TO_BUILDS, TO_READY, (judged(Level.DENY),)])
def test_a_newer_version_takes_the_place(events: tuple[Event, ...]) -> None:
    release = after(*events, Superseded("npm//core/1.1.1"))
    assert (release.state, release.by) == (State.SUPERSEDED, "npm//core/1.1.1")
    assert due(release, NOW) == ()
    news: list[Event] = [Published("r2", 9), Withdrawn(9)]
    assert {advance(release, each).state for each in news} == {State.SUPERSEDED}
    rest: list[Event] = [Superseded("npm//core/1.1.2"), ended("a"), Retried(1, 0), promoting(), judged()]
    assert all(advance(release, each) is release for each in rest)


@pytest.mark.parametrize("state", [State.PROMOTING, State.PROMOTED])
def test_a_promotion_can_not_be_called_back(state: State) -> None:
    release = after(*TO_READY, promoting(), *([Promoted(1)] if state is State.PROMOTED else []))
    for event in (Superseded("npm//core/1.1.1"), Withdrawn(5), Published("r2", 6), Retried(1, 0)):
        assert advance(release, event).state is state


def test_a_refused_promotion_can_be_tried_again() -> None:
    release = after(*TO_READY, promoting(), PromotionRefused(1, NOW + 60.0))
    assert (release.state, release.reason) == (State.FAILED, Reason.REFUSED)
    assert due(advance(release, Retried(1, 0)), NOW) == (Promote("r1", resumed=False),)


def test_of_a_promotion_that_was_taken_over_the_second_has_the_say() -> None:
    release = after(*TO_READY, promoting(), promoting(NOW + 60.0))
    assert advance(release, PromotionRefused(1, NOW + 60.0)) is release
    assert advance(release, PromotionRefused(1, NOW + 120.0)).state is State.FAILED


def test_a_promotion_that_was_put_off_is_due_again_at_once_and_looks_first() -> None:
    release = after(*TO_READY, promoting(), PromotionPutOff(1, NOW + 60.0))
    assert due(release, NOW) == (Promote("r1", resumed=True),)
    assert advance(release, Superseded("npm//core/1.1.1")) is release


def test_whoever_has_lost_its_claim_puts_nothing_off() -> None:
    release = after(*TO_READY, promoting(), promoting(NOW + 60.0))
    assert advance(release, PromotionPutOff(1, NOW + 60.0)) is release


def test_another_revision_that_came_while_it_was_promoted_has_a_round_of_its_own() -> None:
    release = after(*TO_READY, promoting(), Published("r2", 2))
    assert (release.state, release.revision) == (State.PROMOTING, "r1")
    again = advance(release, PromotionRefused(1, NOW + 60.0, "r2"))
    assert (again.state, again.round, again.revision, again.builds) == (State.WAITING, 2, "r2", {})
    assert advance(again, Published("r2", 3)).round == 2


EVERY_EVENT: list[Event] = [
    Published("r1", 1), Published("r2", 2), Withdrawn(3), Superseded("npm//core/1.1.1"), judged(),
    judged(Level.DENY), planned(), planned(verdict=Level.DENY), claimed("a"), started("a"), ended("a"),
    ended("a", Progress.FAILED), ended("b"), ended("b", Progress.STOPPED), ended("c"), promoting(),
    Promoted(1), PromotionPutOff(1, NOW + 60.0), PromotionRefused(1, NOW + 60.0),
    PromotionRefused(1, NOW + 60.0, "r2"), Retried(1, 0), judged(round_=2), Retried(2, 0),
]  # fmt: skip
BEGINNINGS: list[tuple[Event, ...]] = [
    (), (judged(),), TO_BUILDS, (*TO_BUILDS, claimed("a")), TO_READY, (*TO_READY, promoting()),
    (*TO_READY, promoting(), Promoted(1)), (*TO_READY, promoting(), PromotionPutOff(1, NOW + 60.0)),
    (*TO_BUILDS, ended("a", Progress.FAILED), ended("b")),
    (*TO_BUILDS, Withdrawn(3)), (*TO_BUILDS, Superseded("npm//core/1.1.1")),
]  # fmt: skip


@pytest.mark.parametrize("events", BEGINNINGS)
def test_an_event_that_comes_twice_changes_nothing_more(events: tuple[Event, ...]) -> None:
    release = after(*events)
    for event in EVERY_EVENT:
        once = advance(release, event)
        assert advance(once, event) is once
        assert once.round >= release.round
        assert once.sequence >= release.sequence


def test_a_release_can_be_kept() -> None:
    release = after(*TO_BUILDS, claimed("a"), ended("b", Progress.FAILED))
    assert msgspec.json.decode(msgspec.json.encode(release), type=Release) == release


def test_a_thousand_builds_fit_one_item() -> None:
    names = tuple(f"maven/com.acme.some.department/some-service-with-a-long-name-{n}" for n in range(1_000))
    release = after(judged(), Planned(1, (names,), Level.ALLOW))
    for name in names:
        arn = f"arn:aws:codebuild:eu-central-1:123456789012:build/signalbox-rebuild:{'0' * 36}"
        release = advance(release, BuildStarted(1, name, 1, arn))
    assert len(msgspec.json.encode(release)) < 400_000
