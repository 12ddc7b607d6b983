"""Making the index anew, of every package of the repositories: what an event did not tell, this mends.

Events go on meanwhile: what they have read since the rebuild began stays (`Shard.rebuilt`).
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from signalbox.clock import Clock
from signalbox.errors import SignalboxError, TransientError
from signalbox.packages.coordinates import Package
from signalbox.packages.dependents import SHARDS, Entry, shard_of
from signalbox.packages.findings import Finding
from signalbox.packages.index_store import IndexFullError, IndexStore
from signalbox.packages.indexing import published, read_entry
from signalbox.packages.repositories import Repositories
from signalbox.spreading import Spread, in_order

LOOKS_AT_ONCE = 8
"""Packages. Each takes two calls of some 50 ms: below the 200 ListPackageVersions a second of an account
("Quotas in AWS CodeArtifact"), which events need too."""
LOOKS = 7
"""Tries for a package, before the rebuild is given up."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What the rebuild came to.

    Attributes:
        packages: in the index: those that somebody has published in a repository that is released from.
        seconds: how long it took.
        findings: what makes no sense, and is left out.
    """

    packages: int
    seconds: float
    findings: tuple[Finding, ...] = ()


class Patience(NamedTuple):
    """How to wait before another try.

    Attributes:
        jitter: answers a number from 0 to 1, another each time.
    """

    sleep: Callable[[float], None]
    jitter: Callable[[], float]

    def pause(self, tries: int) -> None:
        """After so many tries: the more, the longer, and not all at once."""
        longest = min(FIRST_PAUSE_SECONDS * 2.0 ** (tries - 1), LONGEST_PAUSE_SECONDS)
        self.sleep(longest * (1 + self.jitter()) / 2)


class _Look(NamedTuple):
    """What was seen of one package; no entry where nobody has published it."""

    package: str
    entry: Entry | None
    findings: tuple[Finding, ...]


class RebuildIndex:
    """The use case of packages_rebuild_index.

    Args:
        index: of the domain.
        sources: the repositories that versions are released from. The first that has a package speaks for it.
        spread: how the packages are looked at, one after the other by default.
    """

    def __init__(
        self,
        index: IndexStore,
        repositories: Repositories,
        sources: tuple[str, ...],
        clock: Clock,
        patience: Patience,
        spread: Spread = in_order,
    ) -> None:
        self._index = index
        self._repositories = repositories
        self._sources = sources
        self._clock = clock
        self._patience = patience
        self._spread = spread

    def rebuild(self) -> Rebuilt:
        """Looks at all packages, and writes every shard, which renews its life in the ledger.

        Raises:
            IndexFullError: some shards are too large. The others are written.
            SignalboxError: CodeArtifact or the ledger did not answer at any try, or refused. What was not
                written stays as it was.
        """
        began_at = self._clock()
        places, findings = self._list()
        looks = list(self._spread(lambda each: self._look(*each, began_at), places.items()))
        self._write({look.package: look.entry for look in looks if look.entry is not None}, began_at)
        return Rebuilt(
            packages=sum(look.entry is not None for look in looks),
            seconds=self._clock() - began_at,
            findings=tuple(dict.fromkeys([*findings, *(each for look in looks for each in look.findings)])),
        )

    def _list(self) -> tuple[dict[Package, list[str]], list[Finding]]:
        """Every package, with the repositories that have it, and what is none."""
        places: defaultdict[Package, list[str]] = defaultdict(list)
        findings = []
        for source in self._sources:
            for each in self._patiently(partial(self._packages, source)):
                if isinstance(each, Finding):
                    findings.append(each)
                else:
                    places[each].append(source)
        return places, findings

    def _packages(self, source: str) -> list[Package | Finding]:
        return list(self._repositories.packages(source))

    def _look(self, package: Package, sources: list[str], began_at: float) -> _Look:
        def look() -> _Look:
            where = published(self._repositories, package, sources)
            if not where.repository:
                return _Look(package.key, None, ())
            seen = read_entry(self._repositories, package, where, 0, began_at)
            return _Look(package.key, seen.entry, seen.findings)

        return self._patiently(look)

    def _patiently[T](self, ask: Callable[[], T]) -> T:
        for tries in range(1, LOOKS):
            try:
                return ask()
            except TransientError:
                self._patience.pause(tries)
        return ask()

    def _write(self, seen: dict[str, Entry], began_at: float) -> None:
        shards: defaultdict[int, dict[str, Entry]] = defaultdict(dict)
        for package, entry in seen.items():
            shards[shard_of(package)][package] = entry
        full: list[SignalboxError] = []
        for number in range(SHARDS):
            try:
                self._index.rebuild(number, shards[number], began_at)
            except IndexFullError as error:
                full.append(error)
        if full:
            raise IndexFullError("; ".join(map(str, full)))
