"""What the ledger knows of a release: the row that all steps share, and how it is changed.

Every change is conditional on nobody having changed it meanwhile, and made of what it is now. So whoever
crashes after a change has made it, and whoever crashes before has not: the next one asks `next_step` and
`signalbox.packages.releases.due` again.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from signalbox.errors import InvariantError
from signalbox.failures import Failure
from signalbox.ledger.changing import change_record
from signalbox.ledger.records import Record, RecordStore
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.findings import Objection
from signalbox.packages.releases import Event, Release, State, advance

DOMAIN = "packages"
RETENTION_SECONDS = 400 * 86_400.0
"""Of what this domain keeps in the ledger: a release may be asked about a year later."""
KEPT_EVENTS = 16
"""``eventDeduplicationId``s remembered for a version."""
DECISIONS_A_RECORD = 500
"""At most: packed, some 50 bytes each. An item holds 400 KB (DynamoDB Developer Guide, "Quotas")."""


class Step(StrEnum):
    """What an execution does next, as the state machine ``packages_release`` has it."""

    INSPECT = "inspect"
    PLAN = "plan"
    BUILD = "build"
    PROMOTE = "promote"
    SETTLE = "settle"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that waits until a wave is built.

    Attributes:
        token: what Step Functions waits for to be answered (SendTaskSuccess).
    """

    token: str
    round: int
    tries: int
    wave: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One release, as the ledger knows it.

    Attributes:
        version: as CodeArtifact has it: its calls want just that (the release has the key).
        repository: where it was published.
        published_at: when its newest event says that it was; seconds since 1970.
        changed_at: when the newest event was taken in: it is quiet once nothing has come for a while.
        events: the ``eventDeduplicationId``s of the last events.
        waiting: the execution that waits for builds, if one does.
        objections: what the policy says, of the version and of the plan, in this round.
        decisions: how many dependents the plan of this round has decided on (`plan_key`).
        projects: package → CodeBuild project that builds it, of all waves.
        troubles: package → why its build did not go well.
        detail: why the release stands still, for a person; "" where it does not.
        settled: the try that was settled last, as `Release.execution`; "" for none.
        outcome: what that came to (`signalbox.packages.outcomes.Outcome`).
        stuck: why that could not go on; "" where it ended otherwise.
    """

    release: Release
    version: str
    repository: str
    published_at: float = 0.0
    changed_at: float = 0.0
    events: tuple[str, ...] = ()
    waiting: Waiting | None = None
    objections: tuple[Objection, ...] = ()
    decisions: int = 0
    projects: dict[str, str] = {}
    troubles: dict[str, str] = {}
    detail: str = ""
    settled: str = ""
    outcome: str = ""
    stuck: str = ""

    @property
    def package_version(self) -> PackageVersion:
        """What is released."""
        key = PackageVersion.parse_key(self.release.version)
        return PackageVersion(key.package, self.version)

    @property
    def has_waited(self) -> bool:
        """Whether an execution waits that need not wait any more: its wave is over, or nobody asks for it."""
        release, waiting = self.release, self.waiting
        if waiting is None:
            return False
        same = (release.round, release.tries, release.wave) == (waiting.round, waiting.tries, waiting.wave)
        return not (same and release.state in {State.PLANNED, State.BUILDING})


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A step's input, as the workflow hands it over.

    Attributes:
        release: the key of the version.
        round: the execution's. Where the release has a later one, nothing is left to be done here.
        tries: likewise.
        token: of BuildWave, what Step Functions waits for to be answered.
        failure: of SettleRelease, why the execution is about to fail.
    """

    release: str
    round: int
    tries: int = 0
    token: str = ""
    failure: Failure | None = None

    def is_of(self, entry: Entry) -> bool:
        """Whether the release is still in the round and the try of this execution."""
        return (entry.release.round, entry.release.tries) == (self.round, self.tries)


OF_A_ROUND: dict[str, Any] = {"objections": (), "decisions": 0, "projects": {}, "troubles": {}, "detail": ""}
"""What an entry knows of a round, before it knows anything."""


def moved(entry: Entry, release: Release) -> Entry:
    """The entry of a release that has moved on: in another round what was known of the last is forgotten."""
    forgotten = {} if release.round == entry.release.round else OF_A_ROUND
    return msgspec.structs.replace(entry, release=release, **forgotten)


def next_step(release: Release) -> Step:
    """What its execution does next. Settling is what remains where nothing else is to be done."""
    match release.state:
        case State.WAITING:
            return Step.INSPECT
        case State.INSPECTED:
            return Step.PLAN
        case State.PLANNED | State.BUILDING if release.acts:
            return Step.BUILD
        case State.READY | State.PROMOTING if release.acts:
            return Step.PROMOTE
    return Step.SETTLE


def answer(entry: Entry, round_: int, tries: int) -> dict[str, Any]:
    """What every step but the last answers, and what a task token is answered with: what comes next.

    An execution of a round or a try that is past has nothing to do but to settle.
    """
    same = (entry.release.round, entry.release.tries) == (round_, tries)
    step = next_step(entry.release) if same else Step.SETTLE
    return {"release": entry.release.version, "round": round_, "tries": tries, "next": str(step)}


def release_key(version: str) -> str:
    """The key of a release's record, by the key of its version."""
    return f"release#{version}"


def package_key(package: str) -> str:
    """The key of the record that names a package's releases (`Releases.versions`)."""
    return f"releases-of#{package}"


def plan_key(version: str, round_: int, number: int) -> str:
    """The key of one of the records that hold the decisions of a round's plan, counted from 0
    (`signalbox.packages.preparation.read_decisions`)."""
    return f"release-plan#{version}#{round_}#{number}"


def build_key(build: str) -> str:
    """The key of the record that says what a build is for, by its id (`Purpose`)."""
    return f"release-build#{build}"


def index_key(domain: str, shard: int) -> str:
    """The key of one shard of a CodeArtifact domain's index of dependents."""
    return f"dependents#{domain}#{shard:02}"


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """What a build was started for."""

    release: str
    round: int
    package: str
    attempt: int


class Releases:
    """The releases in the ledger.

    Args:
        ledger: made with `RETENTION_SECONDS`.
    """

    def __init__(self, ledger: RecordStore) -> None:
        self._ledger = ledger

    def read(self, version: str) -> Entry | None:
        """The release of a version, by its key."""
        key = release_key(version)
        record = self._ledger.records([key]).get(key)
        return entry_of(record) if record else None

    def read_all(self, versions: Sequence[str]) -> dict[str, Entry]:
        """Those releases of several versions that there are, by their keys: one call."""
        records = self._ledger.records([release_key(each) for each in versions]) if versions else {}
        entries = [entry_of(record) for record in records.values()]
        return {entry.release.version: entry for entry in entries}

    def known(self, version: str) -> Entry:
        """The same, of a release that must be there. Raises InvariantError where it is not."""
        entry = self.read(version)
        if entry is None:
            raise InvariantError(f"{version}: the ledger has no release of it")
        return entry

    def change(self, version: str, change: Callable[[Entry | None], Entry | None]) -> Entry | None:
        """Changes a release, or begins it; answers what it is afterwards. Errors as of `change_record`.

        Args:
            change: a pure function. Answers None, or the very entry it was given, to leave all as it is.
        """
        record = change_record(self._ledger, release_key(version), lambda known: _changed(known, change))
        return entry_of(record) if record else None

    def advance(self, version: str, event: Event, **also: Any) -> Entry:
        """Tells a release of an event. Where that says something new, other fields are set, too.

        Raises:
            InvariantError: there is no such release.
        """

        def told(entry: Entry | None) -> Entry | None:
            if entry is None:
                raise InvariantError(f"{version}: the ledger has no release of it")
            after = advance(entry.release, event)
            return entry if after is entry.release else msgspec.structs.replace(moved(entry, after), **also)

        entry = self.change(version, told)
        assert entry is not None  # noqa: S101 - `told` raises where there is none
        return entry

    def versions(self, package: str) -> tuple[str, ...]:
        """The keys of a package's versions whose releases are not over, and may be superseded."""
        key = package_key(package)
        record = self._ledger.records([key]).get(key)
        return tuple(record.body["versions"]) if record else ()

    def set_versions(
        self, package: str, change: Callable[[tuple[str, ...]], tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Changes what `versions` answers, and answers it."""
        key = package_key(package)

        def changed(known: Record | None) -> Record | None:
            before = tuple(known.body["versions"]) if known else ()
            after = change(before)
            return None if after == before else Record(key, {"versions": list(after)})

        record = change_record(self._ledger, key, changed)
        return tuple(record.body["versions"]) if record else ()


def entry_of(record: Record) -> Entry:
    return msgspec.convert(record.body, Entry)


def record_of(entry: Entry) -> Record:
    """The record of an entry, its version left to `change_record`."""
    body: dict[str, Any] = msgspec.to_builtins(entry)
    return Record(release_key(entry.release.version), body)


def _changed(known: Record | None, change: Callable[[Entry | None], Entry | None]) -> Record | None:
    before = entry_of(known) if known else None
    after = change(before)
    return None if after is None or after is before else record_of(after)
