"""What the change of a version leads to at once: its release, those that it takes the place of, the index.

Nothing here waits, and all of it may be done again: whoever dies on the way leaves the event unnoted, and its
message comes again. Two versions that are published at once can't miss each other. Each makes itself known
before it lists what is published, and looks at the others after that: the later one to be published finds the
other, or is found in the list.
"""

from collections.abc import Collection
from typing import NamedTuple

from signalbox.clock import Clock
from signalbox.errors import InvariantError
from signalbox.ledger.records import RecordStore
from signalbox.packages.admission import (
    PUBLISHED_ELSEWHERE,
    Ignore,
    Rules,
    admitted,
    is_closed,
    is_elsewhere,
    noted,
    overtaken,
    told,
)
from signalbox.packages.entries import Entry, Releases
from signalbox.packages.events import Change
from signalbox.packages.findings import Finding
from signalbox.packages.index_store import IndexStore
from signalbox.packages.indexing import Publication, Seen, published, read_entry
from signalbox.packages.releases import Published, Superseded, Withdrawn
from signalbox.packages.repositories import Origin, Repositories
from signalbox.packages.waiting import TaskTokens, let_go


class Noted(NamedTuple):
    """The release afterwards, whether the index says something else now, and what of the package is odd."""

    entry: Entry
    indexed: bool = False
    findings: tuple[Finding, ...] = ()


class NoteChange:
    """Says what an event leads to.

    Args:
        tokens: of the executions that wait for builds that nobody needs any more.
    """

    def __init__(
        self,
        ledger: RecordStore,
        repositories: Repositories,
        tokens: TaskTokens,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._releases = Releases(ledger)
        self._index = IndexStore(ledger, rules.domain)
        self._repositories = repositories
        self._tokens = tokens
        self._rules = rules
        self._clock = clock

    def note(self, change: Change, *, is_released: bool) -> Noted | Ignore:
        """Looks what the version is, and says so everywhere.

        Args:
            is_released: whether the repository has a release of it already.

        Raises:
            IndexFullError, SignalboxError: the event is not noted. Try again.
        """
        began_at = self._clock()
        found = self._repositories.describe(change.repository, change.version)
        said = told(found, change, self._rules, is_released=is_released)
        if isinstance(said, Ignore):
            return said
        outside = isinstance(said, Published) and found is not None and found.origin is Origin.EXTERNAL
        if not outside and self._speaks_before(change):
            return Ignore(PUBLISHED_ELSEWHERE)
        others = self._make_known(change, is_there=not isinstance(said, Withdrawn))
        if not self._admit(change, said):
            return Ignore(PUBLISHED_ELSEWHERE)
        where = self._all_of_it(change) if outside else self._published(change)
        by = self._make_way(change, where.versions, others)
        seen = None if outside else self._read(change, where, began_at)
        indexed = seen is not None and self._index.merge(change.version.package.key, seen.entry)
        entry = self._note(change, by)
        return Noted(entry, indexed, seen.findings if seen else ())

    def _speaks_before(self, change: Change) -> bool:
        """Whether a repository that is named before this one has the package."""
        sources = self._rules.sources
        before = sources[: sources.index(change.repository)]
        return bool(published(self._repositories, change.version.package, before).repository)

    def _make_known(self, change: Change, *, is_there: bool) -> tuple[str, ...]:
        """Answers the package's other releases that may have to make way."""
        key = change.version.key

        def changed(known: tuple[str, ...]) -> tuple[str, ...]:
            others = tuple(each for each in known if each != key)
            return (*others, key) if is_there else others

        known = self._releases.set_versions(change.version.package.key, changed)
        return tuple(each for each in known if each != key)

    def _admit(self, change: Change, said: Published | Withdrawn) -> bool:
        """Whether the release is one of this repository."""

        def changed(known: Entry | None) -> Entry | None:
            if known is not None and is_elsewhere(known, change):
                return known
            return admitted(known, change, said, acts=self._rules.acts)

        entry = self._releases.change(change.version.key, changed)
        return entry is not None and entry.repository == change.repository

    def _published(self, change: Change) -> Publication:
        sources = self._rules.sources
        since = sources[sources.index(change.repository) :]
        return published(self._repositories, change.version.package, since)

    def _all_of_it(self, change: Change) -> Publication:
        """Of a package from outside: whatever the repository keeps."""
        versions = self._repositories.versions(change.repository, change.version.package)
        return Publication(change.repository, versions)

    def _make_way(self, change: Change, versions: tuple[str, ...], others: tuple[str, ...]) -> str:
        """Has others make way that must. Answers what takes the place of this version; "" for none."""
        mine, package = change.version.key, change.version.package
        entries = self._releases.read_all(others)
        open_ = {key: entry.version for key, entry in entries.items() if not is_closed(entry.release)}
        takers = overtaken(package, versions, {mine: change.version.version, **open_})
        for key in open_.keys() & takers.keys():
            after = self._releases.advance(key, Superseded(takers[key]))
            entries[key] = let_go(after, self._releases, self._tokens)
        self._forget(package.key, {key for key, entry in entries.items() if is_closed(entry.release)})
        return takers.get(mine, "")

    def _forget(self, package: str, closed: Collection[str]) -> None:
        if closed:
            self._releases.set_versions(
                package, lambda known: tuple(each for each in known if each not in closed)
            )

    def _read(self, change: Change, where: Publication, began_at: float) -> Seen:
        """The package as the index is to have it. Each repository numbers its events by itself."""
        its_own = where.repository in {"", change.repository}
        where = where if where.repository else Publication(change.repository)
        sequence = change.sequence if its_own else 0
        return read_entry(self._repositories, change.version.package, where, sequence, began_at)

    def _note(self, change: Change, by: str) -> Entry:
        def changed(known: Entry | None) -> Entry | None:
            return noted(known, change, self._clock(), by) if known else known

        entry = self._releases.change(change.version.key, changed)
        if entry is None:
            raise InvariantError(f"{change.version.key}: its release has gone")
        return let_go(entry, self._releases, self._tokens)
