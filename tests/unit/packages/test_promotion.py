"""A version is promoted once a claim, as it was built, or not at all."""

from typing import Any

import pytest

from signalbox.errors import AccessDeniedError, InvariantError, ThrottledError, UnavailableError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.entries import Entry, Releases, Task, answer
from signalbox.packages.promotion import COPY_SECONDS, LEASE_SECONDS, PromoteVersion, Promotion
from signalbox.packages.releases import PromotionClaimed, Published, Reason, Retried, State, Superseded
from signalbox.packages.repositories import Copied, Status
from tests.stepping import Fate, Stepped
from tests.unit.packages.fake_codeartifact import NOON, SHARED, TEAM, FakeCodeArtifact
from tests.unit.packages.releases_under_way import TASK, UI, crashing_once, under_way


class Stack:
    """A release that is ready, and the use case over it."""

    def __init__(self, state: State = State.READY, *, acts: bool = True) -> None:
        self.now = NOON
        self.ledger = MemoryLedger()
        self.codeartifact = FakeCodeArtifact()
        self.revision = self.codeartifact.publish(UI).revision
        waves = ((UI.package.key + "-user",),)
        under_way(self.ledger, state, self.revision, () if state is State.READY else waves, acts=acts)

    def promote(self, task: Task = TASK, ledger: Any = None, codeartifact: Any = None) -> Promotion:
        return PromoteVersion(
            ledger or self.ledger, codeartifact or self.codeartifact, SHARED, lambda: self.now
        ).promote(task)

    def claimed_by_somebody(self) -> None:
        claim = PromotionClaimed(1, self.now, self.now + LEASE_SECONDS)
        Releases(self.ledger).advance(UI.key, claim)

    @property
    def entry(self) -> Entry:
        return Releases(self.ledger).known(UI.key)

    @property
    def promoted(self) -> str:
        """The revision in the shared repository; "" for none."""
        there = self.codeartifact.describe(SHARED, UI)
        return there.revision if there else ""


def test_what_is_ready_is_copied_and_looked_at() -> None:
    stack = Stack()
    promotion = stack.promote()
    assert (promotion.outcome, promotion.detail) == (Copied.COPIED, "")
    assert promotion.entry == stack.entry
    assert stack.entry.release.state is State.PROMOTED
    assert stack.promoted == stack.revision
    assert answer(stack.entry, 1, 0)["next"] == "settle"
    assert stack.codeartifact.calls == {"describe": 3, "copy": 1}  # source, destination, and this test's


def test_what_is_there_already_the_same_counts_as_promoted() -> None:
    stack = Stack()
    stack.codeartifact.copy(UI, stack.revision, TEAM, SHARED)
    assert stack.promote().outcome is Copied.IDENTICAL
    assert stack.entry.release.state is State.PROMOTED


def refused(stack: Stack) -> Promotion:
    promotion = stack.promote()
    assert (stack.entry.release.state, stack.entry.release.reason) == (State.FAILED, Reason.REFUSED)
    assert stack.entry.detail == promotion.detail != ""
    assert answer(stack.entry, 1, 0)["next"] == "settle"
    return promotion


def test_what_differs_there_is_left_alone_and_told() -> None:
    stack = Stack()
    other = stack.codeartifact.publish(UI, repository=SHARED, content="by hand").revision
    assert refused(stack).outcome is Copied.DIFFERS
    assert stack.promoted == other


def test_a_permission_that_is_missing_is_told() -> None:
    stack = Stack()
    stack.codeartifact.denied = {SHARED}
    promotion = refused(stack)
    assert promotion.outcome is Copied.REFUSED
    assert "AccessDenied" in promotion.detail


def test_a_refusal_that_was_mended_is_promoted_by_a_retry() -> None:
    stack = Stack()
    stack.codeartifact.denied = {SHARED}
    refused(stack)
    stack.codeartifact.denied = set()
    Releases(stack.ledger).advance(UI.key, Retried(1, 0))
    assert stack.promote(Task(release=UI.key, round=1, tries=1)).outcome is Copied.COPIED
    assert (stack.entry.release.state, stack.entry.detail) == (State.PROMOTED, "")


@pytest.mark.parametrize("status", [None, Status.UNLISTED, Status.ARCHIVED])
def test_what_is_withdrawn_at_its_source_is_not_promoted(status: Status | None) -> None:
    stack = Stack()
    if status is None:
        stack.codeartifact.delete(UI)
    else:
        stack.codeartifact.set_status(UI, status)
    assert refused(stack).outcome is (Copied.CHANGED if status else Copied.GONE)
    assert stack.codeartifact.calls["copy"] == 0


def test_what_was_published_anew_meanwhile_has_another_round() -> None:
    """Also where its event came while the promotion was claimed, and so changed nothing."""
    stack = Stack()
    stack.claimed_by_somebody()
    anew = stack.codeartifact.publish(UI, content="more").revision
    Releases(stack.ledger).advance(UI.key, Published(anew, 2))
    stack.now += LEASE_SECONDS
    promotion = stack.promote()
    assert (promotion.outcome, stack.promoted) == (Copied.CHANGED, "")
    release = stack.entry.release
    assert (release.state, release.round, release.revision) == (State.WAITING, 2, anew)
    assert promotion.detail == "ui 1.1.0 in team is another revision by now"
    assert stack.entry.detail == ""  # nothing stands still
    assert answer(stack.entry, 1, 0)["next"] == "settle"


def test_what_is_published_anew_just_before_the_copy_has_another_round() -> None:
    stack = Stack()

    class AtTheLastMoment(FakeCodeArtifact):
        def copy(self, *what: Any) -> tuple[Copied, str]:
            stack.codeartifact.publish(UI, content="more")
            return stack.codeartifact.copy(*what)

    late = AtTheLastMoment()
    late.held = stack.codeartifact.held
    assert stack.promote(codeartifact=late).outcome is Copied.CHANGED
    assert (stack.entry.release.round, stack.promoted) == (2, "")


def test_one_who_is_throttled_gives_its_claim_back() -> None:
    stack = Stack()
    stack.codeartifact.failing["copy"] = [ThrottledError("CopyPackageVersions: ThrottlingException")]
    with pytest.raises(ThrottledError):
        stack.promote()
    assert stack.entry.release.state is State.PROMOTING
    stack.now += 1  # long before the claim is out
    assert stack.promote().outcome is Copied.COPIED


def test_one_whose_answer_is_lost_looks_before_it_copies_again() -> None:
    stack = Stack()

    class Losing(FakeCodeArtifact):
        def copy(self, *what: Any) -> tuple[Copied, str]:
            super().copy(*what)
            raise UnavailableError("CopyPackageVersions: ReadTimeoutError")

    losing = Losing()
    losing.held = stack.codeartifact.held
    with pytest.raises(UnavailableError):
        stack.promote(codeartifact=losing)
    with pytest.raises(UnavailableError, match="somebody promotes it"):
        stack.promote()
    stack.now += LEASE_SECONDS
    assert stack.promote().outcome is Copied.IDENTICAL
    assert stack.codeartifact.calls["copy"] == 0
    assert stack.entry.release.state is State.PROMOTED


def test_while_somebody_promotes_others_come_again() -> None:
    stack = Stack()
    stack.claimed_by_somebody()
    with pytest.raises(UnavailableError, match="2026-05-28T20:27:25Z at the latest"):
        stack.promote()
    assert not stack.codeartifact.calls


def test_one_who_took_too_long_to_look_does_not_copy() -> None:
    stack = Stack()

    class Slow(FakeCodeArtifact):
        def describe(self, *what: Any) -> Any:
            stack.now += LEASE_SECONDS - COPY_SECONDS + 1
            return super().describe(*what)

    slow = Slow()
    slow.held = stack.codeartifact.held
    with pytest.raises(UnavailableError, match="almost out"):
        stack.promote(codeartifact=slow)
    assert slow.calls["copy"] == 0


def test_a_copy_that_is_not_there_yet_is_looked_for_again() -> None:
    stack = Stack()

    class Forgetful(FakeCodeArtifact):
        def copy(self, *what: Any) -> tuple[Copied, str]:
            return Copied.COPIED, ""

    forgetful = Forgetful()
    forgetful.held = stack.codeartifact.held
    with pytest.raises(UnavailableError, match="not in shared yet"):
        stack.promote(codeartifact=forgetful)
    assert stack.entry.release.state is State.PROMOTING


def test_a_copy_that_nobody_can_use_is_told() -> None:
    stack = Stack()
    stack.codeartifact.copy(UI, stack.revision, TEAM, SHARED)
    stack.codeartifact.set_status(UI, Status.UNLISTED, SHARED)
    assert "Unlisted" in refused(stack).detail


def test_a_source_that_may_not_be_read_is_an_error_and_promotes_nothing() -> None:
    stack = Stack()
    stack.codeartifact.denied = {TEAM}
    with pytest.raises(AccessDeniedError):
        stack.promote()
    assert stack.promoted == ""


@pytest.mark.parametrize("state", [State.WAITING, State.INSPECTED, State.PLANNED, State.BUILDING])
def test_what_is_not_ready_is_not_promoted(state: State) -> None:
    stack = Stack(state)
    assert stack.promote().outcome == ""
    assert stack.entry.release.state is state
    assert not stack.codeartifact.calls


def test_a_dry_run_is_not_promoted() -> None:
    stack = Stack(acts=False)
    assert answer(stack.promote().entry, 1, 0)["next"] == "settle"
    assert not stack.codeartifact.calls


def test_what_another_version_has_taken_the_place_of_is_not_promoted() -> None:
    stack = Stack()
    Releases(stack.ledger).advance(UI.key, Superseded("npm//ui/1.1.1"))
    assert stack.promote().outcome == ""
    assert not stack.codeartifact.calls


def test_what_is_promoted_already_is_not_promoted_again() -> None:
    stack = Stack()
    stack.promote()
    stack.codeartifact.calls.clear()
    assert stack.promote() == Promotion(entry=stack.entry)
    assert not stack.codeartifact.calls


def test_a_task_of_an_earlier_try_promotes_nothing() -> None:
    stack = Stack()
    Releases(stack.ledger).advance(UI.key, Retried(1, 0))
    assert answer(stack.promote().entry, 1, 0)["next"] == "settle"
    assert not stack.codeartifact.calls


def test_a_release_that_there_is_none_of_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="npm//other"):
        Stack().promote(Task(release="npm//other/1.0.0", round=1, tries=0))


@pytest.mark.parametrize("fate", ["crash-before", "crash-after"])
def test_a_crash_anywhere_changes_nothing_about_the_end(fate: Fate) -> None:
    step, steps = 0, 1
    while step < steps:
        stack = Stack()
        ledger: Any = Stepped(stack.ledger)
        codeartifact: Any = Stepped(stack.codeartifact, frozenset({"describe", "copy"}))

        def come_again_until_it_is_done() -> None:
            while True:
                try:
                    stack.promote(ledger=ledger, codeartifact=codeartifact)  # noqa: B023 - it ends before the next turn
                except UnavailableError:
                    stack.now += LEASE_SECONDS  # noqa: B023 - likewise
                else:
                    return

        steps = crashing_once(come_again_until_it_is_done, step, fate) - 1
        assert (stack.entry.release.state, stack.promoted) == (State.PROMOTED, stack.revision), step
        assert stack.codeartifact.calls["copy"] == 1, step
        step += 1
    assert step > 5
