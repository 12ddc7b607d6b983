"""A version is judged as it is now; one that has changed meanwhile is left to its event."""

from collections.abc import Callable
from typing import Any

import pytest

from signalbox.errors import InvariantError, SignalboxError, UnavailableError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.dependents import Dependency, Kind
from signalbox.packages.entries import Entry, Releases, Task, answer
from signalbox.packages.findings import Finding, Level
from signalbox.packages.inspection import Inspection, InspectVersion
from signalbox.packages.policy import Dependencies, Findings, Licenses, Policy
from signalbox.packages.releases import Published, Reason, Retried, State, Withdrawn
from signalbox.packages.repositories import License, Status
from tests.stepping import Fate, Stepped
from tests.unit.packages.fake_codeartifact import SHARED, TEAM, FakeCodeArtifact, version_of
from tests.unit.packages.releases_under_way import TASK, UI, crashing_once, under_way

CORE = Dependency("npm/acme/core", "^1.2.0")


class Stack:
    """A published version with a release that waits, and the use case over both."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy: Callable[[], Policy] = lambda: policy or Policy()
        self.ledger = MemoryLedger()
        self.codeartifact = FakeCodeArtifact()
        for repository in (TEAM, SHARED):
            self.codeartifact.publish(version_of("npm/acme/core/1.2.0"), repository=repository)

    def publish(self, *dependencies: Dependency, version: str = UI.version, **also: Any) -> None:
        known = {"licenses": [License("MIT")], **also}
        self.codeartifact.publish(version_of(f"npm//ui/{version}"), dependencies=dependencies, **known)

    def begin(self, *dependencies: Dependency, **also: Any) -> None:
        self.publish(*dependencies, **also)
        described = self.codeartifact.describe("team", UI)
        assert described is not None
        under_way(self.ledger, State.WAITING, described.revision)
        self.codeartifact.calls.clear()

    def inspect(self, task: Task = TASK) -> Inspection:
        return InspectVersion(self.ledger, self.codeartifact, self.policy, SHARED).inspect(task)

    @property
    def entry(self) -> Entry:
        return Releases(self.ledger).known(UI.key)


def codes(inspection: Inspection) -> list[str]:
    return [each.code for each in inspection.objections]


def test_what_the_policy_allows_goes_on_to_be_planned() -> None:
    stack = Stack()
    stack.begin(CORE)
    inspection = stack.inspect()
    assert (inspection.verdict, inspection.objections) == (Level.ALLOW, ())
    assert inspection.entry == stack.entry
    assert (stack.entry.release.state, stack.entry.detail) == (State.INSPECTED, "")
    assert answer(stack.entry, 1, 0)["next"] == "plan"


def test_what_the_policy_denies_has_failed_and_says_why() -> None:
    stack = Stack(Policy(licenses=Licenses(deny=("MIT",))))
    stack.begin(CORE)
    inspection = stack.inspect()
    assert (inspection.verdict, codes(inspection)) == (Level.DENY, ["license"])
    assert (stack.entry.release.state, stack.entry.release.reason) == (State.FAILED, Reason.POLICY)
    assert stack.entry.objections == inspection.objections
    assert stack.entry.detail == "ui 1.1.0 has the licence MIT"
    assert answer(stack.entry, 1, 0)["next"] == "settle"


def test_a_dependency_on_a_package_that_does_not_exist_is_named() -> None:
    stack = Stack()
    stack.begin(CORE, Dependency("npm/acme/gone", "^1.0.0"))
    assert codes(stack.inspect()) == ["missing-dependency"]
    assert "npm/acme/gone" in stack.entry.detail


@pytest.mark.parametrize("level", Level)
def test_a_dependency_that_the_shared_repository_lacks_is_as_the_policy_says(level: Level) -> None:
    stack = Stack(Policy(dependencies=Dependencies(unshared=level)))
    stack.codeartifact.publish(version_of("npm/acme/icons/1.0.0"))
    stack.begin(CORE, Dependency("npm/acme/icons", "^1.0.0"), Dependency("npm/acme/tests", "*", Kind.DEV))
    inspection = stack.inspect()
    assert inspection.verdict is level
    assert codes(inspection) == ([] if level is Level.ALLOW else ["unshared-dependency"])
    assert all("npm/acme/icons" in each.text for each in inspection.objections)
    assert Dependencies().unshared is Level.WARN


def test_what_only_builds_or_tests_it_is_not_looked_up() -> None:
    stack = Stack()
    stack.begin(Dependency("npm/acme/gone", "^1.0.0", Kind.DEV))
    assert stack.inspect().verdict is Level.ALLOW


def test_a_dependency_that_can_not_be_read_stops_the_release_unless_the_policy_allows_it() -> None:
    odd = Finding("malformed-dependency", UI.package.key, "ui 1.1.0: '' is no name")
    for level, state in ((Level.DENY, State.FAILED), (Level.WARN, State.INSPECTED)):
        stack = Stack(Policy(findings=Findings(malformed_dependency=level)))
        stack.begin(findings=[odd])
        assert codes(stack.inspect()) == ["malformed-dependency"]
        assert stack.entry.release.state is state
    assert Findings().malformed_dependency is Level.DENY


def test_it_is_compared_with_the_version_before() -> None:
    stack = Stack()
    stack.publish(Dependency("npm/acme/core", "^1.0.0", Kind.PEER), version="1.0.0")
    stack.publish(Dependency("npm/acme/core", "^2.0.0", Kind.PEER), version="2.0.0")  # above: of no concern
    stack.begin(Dependency("npm/acme/core", "^2.0.0", Kind.PEER))
    assert codes(stack.inspect()) == ["breaking-dependency"]


def test_unpinned_dependencies_are_as_the_policy_says() -> None:
    stack = Stack(Policy(dependencies=Dependencies(unpinned=Level.WARN)))
    stack.begin(Dependency("npm/acme/core", "*"))
    inspection = stack.inspect()
    assert (inspection.verdict, codes(inspection)) == (Level.WARN, ["unpinned-dependency"])
    assert stack.entry.release.state is State.INSPECTED
    assert stack.entry.detail == ""


def test_codeartifact_is_asked_once_for_each_thing() -> None:
    stack = Stack()
    stack.publish(CORE, version="1.0.0")
    stack.begin(*(Dependency(f"npm/acme/{each}", "^1.0.0") for each in "abcdef"))
    stack.inspect()
    assert stack.codeartifact.calls == {"describe": 1, "versions": 1, "dependencies": 2, "known": 2}


@pytest.mark.parametrize("how", ["gone", "unlisted", "another"])
def test_a_version_that_has_changed_is_left_to_its_event(how: str) -> None:
    stack = Stack()
    stack.begin(CORE)
    match how:
        case "gone":
            stack.codeartifact.delete(UI)
        case "unlisted":
            stack.codeartifact.set_status(UI, Status.UNLISTED)
        case "another":
            stack.publish(CORE, content="more")
    inspection = stack.inspect()
    assert (inspection.verdict, inspection.objections) == (None, ())
    assert (stack.entry.release.state, stack.entry.release.tries) == (State.WAITING, 1)
    assert stack.entry.detail.endswith("its event decides")
    assert answer(stack.entry, 1, 0)["next"] == "settle"  # and not inspect, again and again


def test_the_event_that_comes_later_decides() -> None:
    stack = Stack()
    stack.begin(CORE)
    before = stack.entry.release
    stack.codeartifact.delete(UI)
    stack.inspect()
    releases = Releases(stack.ledger)
    assert releases.advance(UI.key, Withdrawn(2)).release.reason is Reason.WITHDRAWN
    assert releases.advance(UI.key, Published(before.revision, 3)).release.round == 2


def test_the_event_of_its_coming_back_may_overtake_that_of_its_going() -> None:
    """Then nothing says that it was gone. Yet an execution of a new name begins, and judges it."""
    stack = Stack()
    stack.begin(CORE)
    before = stack.entry.release
    stack.codeartifact.set_status(UI, Status.UNLISTED)
    stack.inspect()
    stack.codeartifact.set_status(UI, Status.PUBLISHED)
    releases = Releases(stack.ledger)
    releases.advance(UI.key, Published(before.revision, 3))
    after = releases.advance(UI.key, Withdrawn(2)).release
    assert (after.state, after.round) == (State.WAITING, 1)
    assert after.execution != before.execution
    assert stack.inspect(Task(release=UI.key, round=1, tries=1)).verdict is Level.ALLOW


def test_should_no_event_come_a_retry_looks_again() -> None:
    stack = Stack()
    stack.begin(CORE)
    stack.codeartifact.set_status(UI, Status.UNLISTED)
    stack.inspect()
    stack.codeartifact.set_status(UI, Status.PUBLISHED)
    assert Releases(stack.ledger).advance(UI.key, Retried(1, 1)).release.tries == 2
    assert stack.inspect(Task(release=UI.key, round=1, tries=2)).verdict is Level.ALLOW


def test_what_is_judged_already_is_not_judged_again() -> None:
    stack = Stack()
    stack.begin(CORE)
    stack.inspect()
    stack.codeartifact.calls.clear()
    again = stack.inspect()
    assert (again.verdict, again.entry) == (None, stack.entry)
    assert not stack.codeartifact.calls


def test_another_round_is_not_judged_by_a_task_of_the_last() -> None:
    stack = Stack()
    stack.begin(CORE)
    Releases(stack.ledger).advance(UI.key, Published("r2", 2))
    inspection = stack.inspect()
    assert inspection.verdict is None
    assert not stack.codeartifact.calls
    assert answer(inspection.entry, 1, 0)["next"] == "settle"


def test_a_round_that_begins_meanwhile_is_not_judged_by_what_was_before() -> None:
    stack = Stack()
    stack.begin(CORE)

    def policy() -> Policy:
        Releases(stack.ledger).advance(UI.key, Published("r2", 2))
        return Policy(licenses=Licenses(deny=("MIT",)))

    stack.policy = policy
    stack.inspect()
    assert (stack.entry.release.state, stack.entry.release.round) == (State.WAITING, 2)
    assert stack.entry.objections == ()


def test_without_a_policy_that_makes_sense_the_release_waits() -> None:
    stack = Stack()
    stack.begin(CORE)

    def broken() -> Policy:
        raise SignalboxError("the policy in SSM parameter /p: …")

    stack.policy = broken
    with pytest.raises(SignalboxError, match="/p"):
        stack.inspect()
    assert stack.entry.release.state is State.WAITING


@pytest.mark.parametrize("operation", ["describe", "versions", "dependencies", "known"])
def test_what_does_not_answer_judges_nothing(operation: str) -> None:
    stack = Stack()
    stack.begin(CORE)
    stack.codeartifact.failing[operation] = [UnavailableError("later")]
    with pytest.raises(UnavailableError):
        stack.inspect()
    assert stack.entry.release.state is State.WAITING
    assert stack.inspect().verdict is Level.ALLOW


def test_a_release_that_there_is_none_of_is_a_bug() -> None:
    with pytest.raises(InvariantError, match=UI.key):
        Stack().inspect()


@pytest.mark.parametrize("fate", ["crash-before", "crash-after"])
@pytest.mark.parametrize("changed", [False, True])
def test_a_crash_anywhere_changes_nothing_about_the_end(fate: Fate, *, changed: bool) -> None:
    step, steps = 0, 1
    while step < steps:
        stack = Stack()
        stack.begin(CORE)
        if changed:
            stack.codeartifact.set_status(UI, Status.UNLISTED)
        ledger: Any = Stepped(stack.ledger)
        codeartifact: Any = Stepped(stack.codeartifact)
        use_case = InspectVersion(ledger, codeartifact, Policy, SHARED)
        steps = crashing_once(lambda: use_case.inspect(TASK), step, fate) - 1  # noqa: B023 - it ends before the next turn
        release = stack.entry.release
        expected = (State.WAITING, 1) if changed else (State.INSPECTED, 0)
        assert (release.state, release.tries) == expected, step
        step += 1
    assert step > 3
