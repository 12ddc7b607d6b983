"""Plans a release: which packages are rebuilt for it, in which order, by which projects.

What was decided of each dependent is written first, and the plan itself last, in one change of the release.
So a crash before that leaves records that the next try of the step overwrites; a crash after it leaves
nothing to do. Two at once write the same records one after the other, and one of them the plan.
"""

import base64
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from signalbox.ledger.changing import change_record
from signalbox.ledger.records import Record, RecordStore
from signalbox.packages.dependents import Index
from signalbox.packages.entries import DECISIONS_A_RECORD, Entry, Releases, Task, plan_key
from signalbox.packages.findings import Finding, Level, Objection
from signalbox.packages.owners import Owners
from signalbox.packages.planning import Decision, Plan, Reason, plan
from signalbox.packages.policy import Judgement, Policy, judge_findings
from signalbox.packages.releases import Planned, State

MAXIMUM_BYTES = 256 * 2**10
"""Of a packed record. As base64 it is a third larger, and an item of DynamoDB holds 400 KB."""


class Dependents(Protocol):
    """Where the index of dependents is (`signalbox.packages.index_store.IndexStore`)."""

    def read(self) -> Index:
        """All packages, in one read."""
        ...


class Preparation(msgspec.Struct, frozen=True, kw_only=True):
    """What the step found.

    Attributes:
        entry: the release afterwards.
        verdict: None where there was nothing to be planned any more.
    """

    entry: Entry
    verdict: Level | None = None
    objections: tuple[Objection, ...] = ()
    affected: int = 0
    waves: int = 0


class PlanRelease:
    """The use case of packages_plan_release.

    Args:
        policy: the one that holds now.
        owners: those that hold now.
    """

    def __init__(
        self,
        ledger: RecordStore,
        dependents: Dependents,
        policy: Callable[[], Policy],
        owners: Callable[[], Owners],
    ) -> None:
        self._ledger = ledger
        self._releases = Releases(ledger)
        self._dependents = dependents
        self._policy = policy
        self._owners = owners

    def prepare(self, task: Task) -> Preparation:
        """Plans the release, unless somebody has, or this task is of an earlier round or try.

        Raises:
            SignalboxError: AWS did not answer, or refused; or policy, owners or index make no sense.
        """
        entry = self._releases.known(task.release)
        if not task.is_of(entry) or entry.release.state is not State.INSPECTED:
            return Preparation(entry=entry)
        policy = self._policy()
        made, projects = assign(
            plan(self._dependents.read(), entry.package_version, policy.rebuild), self._owners()
        )
        judgement = judge_findings(policy, made.findings)
        write_decisions(self._ledger, entry, made.decisions)
        after = self._planned(entry, made, projects, judgement)
        return Preparation(
            entry=after,
            verdict=judgement.verdict,
            objections=judgement.recorded,
            affected=sum(map(len, made.waves)),
            waves=len(made.waves),
        )

    def _planned(self, entry: Entry, made: Plan, projects: Mapping[str, str], judgement: Judgement) -> Entry:
        release = entry.release
        return self._releases.advance(
            release.version,
            Planned(release.round, made.waves, judgement.verdict),
            objections=(*entry.objections, *judgement.recorded),
            decisions=len(made.decisions),
            projects=dict(projects),
            detail=judgement.detail,
        )


def assign(made: Plan, owners: Owners) -> tuple[Plan, dict[str, str]]:
    """The plan without the packages that no project builds, each of which it has a finding about; and the
    project of each of the others. What waits for one of them is built all the same, against what is there."""
    found = {package: owners.project(package) for wave in made.waves for package in wave}
    projects = {package: project for package, project in found.items() if isinstance(project, str)}
    missing = {package: each for package, each in found.items() if isinstance(each, Finding)}
    return (_without(made, missing) if missing else made), projects


def _without(made: Plan, missing: Mapping[str, Finding]) -> Plan:
    left = (tuple(package for package in wave if package not in missing) for wave in made.waves)
    waves = tuple(wave for wave in left if wave)
    turns = {package: number for number, wave in enumerate(waves) for package in wave}
    return msgspec.structs.replace(
        made,
        waves=waves,
        decisions=tuple(_without_turn(each, turns, missing) for each in made.decisions),
        findings=(*made.findings, *(missing[package] for package in sorted(missing))),
    )


def _without_turn(each: Decision, turns: Mapping[str, int], missing: Mapping[str, Finding]) -> Decision:
    finding = missing.get(each.package)
    return msgspec.structs.replace(
        each,
        wave=turns.get(each.package),
        after=() if finding else tuple(name for name in each.after if name in turns),
        reasons=(*each.reasons, Reason(finding.code, finding.text)) if finding else each.reasons,
    )


def write_decisions(ledger: RecordStore, entry: Entry, decisions: Sequence[Decision]) -> None:
    """Keeps what was decided of each dependent, in this round. Errors as of `change_record`."""
    for number, packed in enumerate(_parts(decisions)):
        key = plan_key(entry.release.version, entry.release.round, number)
        _write(ledger, Record(key, {"packed": base64.b64encode(packed).decode()}))


def _write(ledger: RecordStore, record: Record) -> None:
    def written(known: Record | None) -> Record | None:
        return None if known and known.body == record.body else record

    change_record(ledger, record.key, written)


def read_decisions(ledger: RecordStore, entry: Entry) -> tuple[Decision, ...]:
    """What was decided of each dependent, in this round; none before it is planned."""
    read: list[Decision] = []
    number = 0
    while len(read) < entry.decisions:
        key = plan_key(entry.release.version, entry.release.round, number)
        record = ledger.records([key])[key]
        packed = zlib.decompress(base64.b64decode(record.body["packed"]))
        read += msgspec.json.decode(packed, type=list[Decision])
        number += 1
    return tuple(read)


def _parts(decisions: Sequence[Decision]) -> Iterator[bytes]:
    """Packed, so many to a record; fewer where they have much to say."""
    for start in range(0, len(decisions), DECISIONS_A_RECORD):
        yield from _halved(decisions[start : start + DECISIONS_A_RECORD])


def _halved(decisions: Sequence[Decision]) -> Iterator[bytes]:
    packed = zlib.compress(msgspec.json.encode(decisions))
    if len(packed) <= MAXIMUM_BYTES or len(decisions) == 1:
        yield packed
        return
    middle = len(decisions) // 2
    yield from _halved(decisions[:middle])
    yield from _halved(decisions[middle:])
