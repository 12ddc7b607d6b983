"""A release is planned once, whole and with reasons; what nothing builds is named."""

import json
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from signalbox.errors import InvariantError, SignalboxError
from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.dependents import Index
from signalbox.packages.entries import DECISIONS_A_RECORD, Entry, Releases, Task, answer, plan_key
from signalbox.packages.findings import Level, Objection
from signalbox.packages.owners import Owners, parse_owner
from signalbox.packages.planning import Decision, Reason, plan
from signalbox.packages.policy import MOST_RECORDED, Findings, Policy, parse_policy
from signalbox.packages.preparation import (
    MAXIMUM_BYTES,
    PlanRelease,
    Preparation,
    assign,
    read_decisions,
    write_decisions,
)
from signalbox.packages.releases import Published, State
from signalbox.packages.releases import Reason as Standstill
from tests.stepping import Fate, Stepped
from tests.unit.packages.graphs_of_packages import index, key
from tests.unit.packages.releases_under_way import TASK, UI, crashing_once, under_way

DIAMOND = index({"ui": [], "a": ["ui"], "b": ["ui"], "c": ["a", "b"], "left": ["ui ^2.0.0"]})
LENIENT = Policy(findings=Findings(no_project=Level.WARN))


def owners(*patterns: str) -> Owners:
    declared = {"packages": patterns or ["npm/*/*"], "project": "rebuild-{name}"}
    return Owners([parse_owner("web", json.dumps(declared))])


class Fixed:
    """An index that is there."""

    def __init__(self, entries: Index) -> None:
        self.entries = entries
        self.reads = 0

    def read(self) -> Index:
        self.reads += 1
        return self.entries


class Stack:
    """A release whose version the policy allows, and the use case over it."""

    def __init__(self, entries: Index = DIAMOND, policy: Policy | None = None, *, acts: bool = True) -> None:
        self.ledger = MemoryLedger()
        self.dependents = Fixed(entries)
        self.policy: Callable[[], Policy] = lambda: policy or Policy()
        self.owners: Callable[[], Owners] = owners
        under_way(self.ledger, State.INSPECTED, acts=acts)

    def prepare(self, task: Task = TASK, ledger: Any = None) -> Preparation:
        use_case = PlanRelease(ledger or self.ledger, self.dependents, self.policy, self.owners)
        return use_case.prepare(task)

    @property
    def entry(self) -> Entry:
        return Releases(self.ledger).known(UI.key)

    def decision(self, name: str) -> Decision:
        return next(each for each in read_decisions(self.ledger, self.entry) if each.package == key(name))


def test_a_release_is_planned_in_waves_with_a_project_for_each_build() -> None:
    stack = Stack()
    made = stack.prepare()
    assert (made.verdict, made.affected, made.waves) == (Level.ALLOW, 3, 2)
    entry = stack.entry
    assert entry.release.state is State.PLANNED
    assert entry.release.waves == ((key("a"), key("b")), (key("c"),))
    assert entry.projects == {key(name): f"rebuild-{name}" for name in "abc"}
    assert entry.decisions == 4
    assert [each.package for each in read_decisions(stack.ledger, entry)] == [
        *map(key, ["a", "b", "c", "left"])
    ]
    assert (stack.decision("c").wave, stack.decision("c").after) == (1, (key("a"), key("b")))
    assert stack.decision("left").wave is None
    assert answer(entry, 1, 0)["next"] == "build"


def test_a_dry_run_ends_with_the_plan() -> None:
    stack = Stack(acts=False)
    assert stack.prepare().affected == 3
    assert stack.entry.release.state is State.PLANNED
    assert answer(stack.entry, 1, 0)["next"] == "settle"


def test_where_nothing_is_affected_there_is_nothing_to_build() -> None:
    stack = Stack(index({"ui": []}))
    stack.prepare()
    assert (stack.entry.release.state, stack.entry.decisions) == (State.READY, 0)
    assert read_decisions(stack.ledger, stack.entry) == ()
    assert answer(stack.entry, 1, 0)["next"] == "promote"


def test_a_cycle_stops_the_release_and_is_named() -> None:
    stack = Stack(index({"ui": [], "a": ["ui", "b"], "b": ["a"]}))
    made = stack.prepare()
    assert made.verdict is Level.DENY
    assert (stack.entry.release.state, stack.entry.release.reason) == (State.FAILED, Standstill.POLICY)
    assert [each.code for each in stack.entry.objections] == ["cycle"]
    assert f"{key('a')}, {key('b')} depend on one another" in stack.entry.detail
    assert len(read_decisions(stack.ledger, stack.entry)) == 2


def test_what_the_policy_said_of_the_version_stays_said() -> None:
    stack = Stack(
        index({"ui": [], "a": ["ui nonsense!"]}), Policy(findings=Findings(unparsable_range=Level.WARN))
    )
    said = Objection("license-missing", Level.WARN, "ui 1.1.0 names no licence")
    Releases(stack.ledger).change(UI.key, lambda entry: entry and replace(entry, objections=(said,)))
    stack.prepare()
    assert [each.code for each in stack.entry.objections] == ["license-missing", "unparsable-range"]
    assert stack.entry.detail == ""


# A build project that is gone, or was never declared


def test_a_dependent_that_nobody_owns_stops_the_release_by_default() -> None:
    stack = Stack()
    stack.owners = lambda: owners("npm//a", "npm//c")
    stack.prepare()
    assert stack.entry.release.state is State.FAILED
    assert [each.code for each in stack.entry.objections] == ["no-project"]
    assert stack.entry.detail == "npm//b: nobody owns it, so nothing builds it"


def test_where_the_policy_allows_it_the_rest_is_built() -> None:
    stack = Stack(policy=LENIENT)
    stack.owners = lambda: owners("npm//b", "npm//c")
    made = stack.prepare()
    assert (made.verdict, made.affected) == (Level.WARN, 2)
    assert stack.entry.release.waves == ((key("b"),), (key("c"),))
    assert stack.entry.projects.keys() == {key("b"), key("c")}
    left_out = stack.decision("a")
    assert (left_out.wave, left_out.after) == (None, ())
    assert [each.code for each in left_out.reasons] == ["admitted", "no-project"]
    assert stack.decision("c").after == (key("b"),)


def test_a_wave_of_which_nothing_is_left_is_none() -> None:
    made, projects = assign(plan(DIAMOND, UI), owners("npm//c"))
    assert made.waves == ((key("c"),),)
    assert projects == {key("c"): "rebuild-c"}
    assert {each.package: each.wave for each in made.decisions} == {
        key("a"): None,
        key("b"): None,
        key("c"): 0,
        key("left"): None,
    }


def test_a_plan_that_lacks_nothing_is_left_as_it_is() -> None:
    made = plan(DIAMOND, UI)
    assert assign(made, owners())[0] is made


# Once, whatever happens


def test_what_is_planned_already_is_not_planned_again() -> None:
    stack = Stack()
    stack.prepare()
    before = stack.entry
    again = stack.prepare()
    assert (again.verdict, again.entry) == (None, before)
    assert stack.dependents.reads == 1


def test_another_round_is_not_planned_by_a_task_of_the_last() -> None:
    stack = Stack()
    Releases(stack.ledger).advance(UI.key, Published("r2", 2))
    made = stack.prepare()
    assert made.verdict is None
    assert answer(made.entry, 1, 0)["next"] == "settle"
    assert stack.dependents.reads == 0


def test_a_round_that_begins_meanwhile_is_not_planned_by_what_was_before() -> None:
    stack = Stack()

    def meanwhile() -> Owners:
        Releases(stack.ledger).advance(UI.key, Published("r2", 2))
        return owners()

    stack.owners = meanwhile
    stack.prepare()
    assert (stack.entry.release.state, stack.entry.release.round) == (State.WAITING, 2)
    assert (stack.entry.decisions, stack.entry.projects) == (0, {})


@pytest.mark.parametrize("broken", ["policy", "owners"])
def test_without_declarations_that_make_sense_the_release_waits(broken: str) -> None:
    stack = Stack()

    def refuse() -> Any:
        raise SignalboxError("SSM parameter /p: …")

    setattr(stack, broken, refuse)
    with pytest.raises(SignalboxError, match="/p"):
        stack.prepare()
    assert stack.entry.release.state is State.INSPECTED


def test_a_release_that_there_is_none_of_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="npm//other"):
        Stack().prepare(Task(release="npm//other/1.0.0", round=1, tries=0))


@pytest.mark.parametrize("fate", ["crash-before", "crash-after"])
def test_a_crash_after_any_write_changes_nothing_about_the_end(fate: Fate) -> None:
    whole = Stack()
    whole.prepare()
    step, steps = 0, 1
    while step < steps:
        stack = Stack()
        ledger: Any = Stepped(stack.ledger)
        steps = crashing_once(lambda: stack.prepare(ledger=ledger), step, fate) - 1  # noqa: B023 - it ends before the next turn
        assert stack.entry == whole.entry, step
        assert read_decisions(stack.ledger, stack.entry) == read_decisions(whole.ledger, whole.entry)
        step += 1
    assert step > 4


def test_a_crash_before_the_plan_and_an_index_that_has_changed_meanwhile() -> None:
    """What counts is what the plan was made of."""
    stack = Stack(index({"ui": [], "a": ["ui"], "gone": ["ui"]}))
    write_decisions(stack.ledger, stack.entry, plan(stack.dependents.entries, UI).decisions)
    stack.dependents.entries = index({"ui": [], "a": ["ui"]})
    stack.prepare()
    assert stack.entry.decisions == 1
    assert [each.package for each in read_decisions(stack.ledger, stack.entry)] == [key("a")]


# However much there is to say


def test_more_dependents_than_a_record_holds_are_in_several() -> None:
    names = [f"d{number:04}" for number in range(2 * DECISIONS_A_RECORD + 1)]
    stack = Stack(
        index({"ui": [], **{name: ["ui ^2.0.0"] for name in names}}),
        parse_policy('{"rebuild": {"most": 1000}}'),
    )
    stack.prepare()
    keys = [plan_key(UI.key, 1, number) for number in range(4)]
    assert list(stack.ledger.records(keys)) == keys[:3]
    assert [each.package for each in read_decisions(stack.ledger, stack.entry)] == sorted(map(key, names))


def test_decisions_with_much_to_say_are_in_records_that_an_item_holds() -> None:
    chance = random.Random(7)  # noqa: S311 - the same texts each time
    said = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=40_000)) for _ in range(30)]
    decisions = [
        Decision(package=key(f"d{number}"), version="1.0.0", wave=0, reasons=(Reason("admitted", text),))
        for number, text in enumerate(said)
    ]
    stack = Stack()
    write_decisions(stack.ledger, stack.entry, decisions)
    records = stack.ledger.records([plan_key(UI.key, 1, number) for number in range(30)])
    assert 1 < len(records) < 30
    assert max(len(json.dumps(each.body)) for each in records.values()) < 1.4 * MAXIMUM_BYTES
    entry = replace(stack.entry, decisions=30)
    assert read_decisions(stack.ledger, entry) == tuple(decisions)


def test_of_very_many_objections_the_gravest_are_kept_and_the_rest_is_counted() -> None:
    names = [f"d{number:04}" for number in range(MOST_RECORDED + 20)]
    stack = Stack(index({"ui": [], **{name: ["ui"] for name in names}}))
    stack.owners = lambda: owners("npm//nothing")
    stack.prepare()
    assert len(stack.entry.objections) == MOST_RECORDED + 1
    assert stack.entry.objections[-1] == Objection("more-objections", Level.DENY, "and 20 more like these")
    assert stack.entry.detail.endswith("; and 115 more")


def test_a_release_of_the_most_affected_fits_into_an_item() -> None:
    """400 KB (DynamoDB Developer Guide, "Quotas"), once every build has an id."""
    names = [f"some-service-with-a-name-{number:04}" for number in range(1_000)]
    stack = Stack(index({"ui": [], **{name: ["ui"] for name in names}}))
    stack.prepare()
    entry = stack.entry
    assert sum(map(len, entry.release.waves)) == 1_000
    ids = {name: f"rebuild-{name}:00000000-0000-0000-0000-000000000000" for name in entry.projects}
    builds = {
        name: replace(build, id=ids[name], lease_until=1_780_000_000.5)
        for name, build in entry.release.builds.items()
    }
    record = msgspec.json.encode(replace(entry, release=replace(entry.release, builds=builds)))
    assert len(record) < 400 * 2**10


def test_a_plan_asks_the_ledger_a_few_times() -> None:
    """To read the release, to write the decisions and the release; the index is one more read."""
    names = [f"d{number:03}" for number in range(200)]
    stack = Stack(index({"ui": [], **{name: ["ui"] for name in names}}))
    counted = Counted(stack.ledger)
    stack.prepare(ledger=counted)
    assert counted.calls == ["records", "records", "put_records", "records", "put_records"]


class Counted:
    """A ledger that says what it was asked."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._ledger, name)
