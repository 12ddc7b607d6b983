"""Who depends on whom: what CodeArtifact says of each package, turned round when it is read.

CodeArtifact answers what a version depends on, never what depends on it. So each package's newest version is
kept with its dependencies, in a few shards of the ledger; all shards together, read in one query, make an
index that answers the other way round. An event changes one package, so one shard; and no shard is about one
dependency, so that five thousand dependents of the same one are five thousand entries spread over all shards.

An entry is what the package *was* when it was read, after the event that it was read for. Of two, the one for
the later event wins: it was read after the last change either of them knows of, whatever order they come in.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, Self

import msgspec

from signalbox.errors import InvariantError, RejectedError
from signalbox.packages.coordinates import Format, Package

SHARDS = 16
MAXIMUM_BYTES = 256 * 2**10
"""Of a packed shard. As base64 it is a third larger, and an item of DynamoDB holds 400 KB."""
FORM = b"1"
"""Of the packed bytes: a shard of another form is not guessed at."""


class Kind(StrEnum):
    """What a dependency is needed for."""

    RUNTIME = "runtime"
    DEV = "dev"
    TEST = "test"
    OPTIONAL = "optional"
    PEER = "peer"


KINDS: dict[tuple[Format, str], Kind] = {
    (Format.NPM, "regular"): Kind.RUNTIME,
    (Format.NPM, "dev"): Kind.DEV,
    (Format.NPM, "peer"): Kind.PEER,
    (Format.NPM, "optional"): Kind.OPTIONAL,
    (Format.MAVEN, "compile"): Kind.RUNTIME,
    (Format.MAVEN, "runtime"): Kind.RUNTIME,
    (Format.MAVEN, "parent"): Kind.RUNTIME,
    (Format.MAVEN, "system"): Kind.RUNTIME,
    (Format.MAVEN, "provided"): Kind.PEER,  # whoever uses it brings it
    (Format.MAVEN, "test"): Kind.TEST,
    (Format.MAVEN, "optional"): Kind.OPTIONAL,
}
"""CodeArtifact's dependencyType → kind (PackageDependency, CodeArtifact API Reference). PyPI has one type for
all, NuGet none: what is not here is RUNTIME."""
EXTRA = re.compile(r"\bextra\b")
"""In a marker of PyPI's: the dependency is of an extra."""


class Dependency(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One package that a version depends on.

    Attributes:
        package: its key (`signalbox.packages.coordinates`).
        requirement: the range, as it was declared; "" where none was.
    """

    package: str
    requirement: str
    kind: Kind = Kind.RUNTIME


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What a package was when it was read.

    Attributes:
        version: the newest that is published (`signalbox.packages.versions.newest`), or None.
        sequence: of the newest event that it was read for; 0 where it was read for none.
        read_at: when reading began, in seconds since 1970; of a rebuild, when that began.
        repository: where it was read; each numbers its events by itself.
    """

    version: str | None
    sequence: int
    read_at: float
    dependencies: tuple[Dependency, ...] = ()
    repository: str = ""


def parse_dependency(
    format_: Format,
    namespace: str | None,
    name: str,
    requirement: str | None,
    type_: str | None,
    where: str = "$",
) -> Dependency:
    """A dependency, as ListPackageVersionDependencies answers it for a package of the format.

    npm's aliases (``npm:@acme/ui@^1``) are followed; markers of PyPI's are read for ``extra`` and dropped.

    Raises:
        RejectedError: as `Package.parse`.
    """
    text = (requirement or "").strip()
    kind = KINDS.get((format_, (type_ or "").lower()), Kind.RUNTIME)
    package = Package.parse(format_, namespace, name, where)
    if format_ is Format.NPM and text.startswith("npm:"):
        package, text = _aliased(text, where)
    if format_ is Format.PYPI:
        text, _, marker = (part.strip() for part in text.partition(";"))
        kind = Kind.OPTIONAL if EXTRA.search(marker) else kind
    return Dependency(package.key, text, kind)


def _aliased(text: str, where: str) -> tuple[Package, str]:
    full, _, requirement = text.removeprefix("npm:").rpartition("@")
    if not full:
        full, requirement = text.removeprefix("npm:"), ""
    scope, _, name = full.rpartition("/")
    return Package.parse(Format.NPM, scope, name, where), requirement


def merge(known: Entry | None, seen: Entry) -> Entry:
    """The entry that holds.

    An event's wins over that of an earlier event. What a rebuild has seen (``sequence`` 0) wins over what was
    read before the rebuild began, and leaves the sequence number as it is, so that stale events stay stale.
    Where a package has moved to another repository the later look wins: their numbers say nothing together.
    """
    if known is None:
        return seen
    if seen.repository != known.repository:
        return seen if seen.read_at > known.read_at else known
    if seen.sequence:
        later = (seen.sequence, seen.read_at) > (known.sequence, known.read_at)
        return seen if later else known
    if seen.read_at <= known.read_at:
        return known
    return msgspec.structs.replace(seen, sequence=known.sequence)


def shard_of(package: str, shards: int = SHARDS) -> int:
    """The number of the shard that a package's entry lies in. Always the same."""
    return zlib.crc32(package.encode()) % shards


class Shard(msgspec.Struct, frozen=True):
    """Some of the packages: key → entry."""

    entries: dict[str, Entry] = {}

    def merged(self, package: str, seen: Entry) -> Self | None:
        """With what was seen of a package; None where that changes nothing."""
        known = self.entries.get(package)
        entry = merge(known, seen)
        return None if entry is known else type(self)({**self.entries, package: entry})

    def rebuilt(self, seen: Mapping[str, Entry], began_at: float) -> Self:
        """After a look at all packages of the repository: those that were not seen are gone.

        Whatever was read since the rebuild began stays.
        """
        kept = {key: entry for key, entry in self.entries.items() if key in seen or entry.read_at > began_at}
        return type(self)({**kept, **{key: merge(kept.get(key), entry) for key, entry in seen.items()}})

    def pack(self) -> bytes:
        """For the ledger: the same bytes for the same entries.

        Raises:
            RejectedError: ``index-full``: it is too large for one item.
        """
        ordered = dict(sorted(self.entries.items()))
        packed = FORM + zlib.compress(msgspec.msgpack.encode(ordered))
        if len(packed) > MAXIMUM_BYTES:
            what = (
                f"{len(self.entries)} packages take {len(packed)} bytes, and a shard holds {MAXIMUM_BYTES}: "
                f"more shards are needed than {SHARDS}"
            )
            raise RejectedError("index-full", "$", what)
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Raises InvariantError where the bytes are not those of `pack`."""
        if packed[:1] != FORM:
            raise InvariantError(f"a shard of the index begins with {packed[:1]!r}, not {FORM!r}: rebuild it")
        try:
            return cls(msgspec.msgpack.decode(zlib.decompress(packed[1:]), type=dict[str, Entry]))
        except (zlib.error, msgspec.DecodeError) as error:
            raise InvariantError(f"a shard of the index can't be read: {error}. Rebuild it") from error


class Edge(NamedTuple):
    """A dependent and what it requires."""

    dependent: str
    requirement: str
    kind: Kind


class Index:
    """All packages of a repository, and who depends on each."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries

    @classmethod
    def of(cls, shards: Iterable[Shard]) -> Self:
        return cls({key: entry for shard in shards for key, entry in shard.entries.items()})

    def split(self, shards: int = SHARDS) -> tuple[Shard, ...]:
        """The shards that it is made of."""
        parts: list[dict[str, Entry]] = [{} for _ in range(shards)]
        for key, entry in self.entries.items():
            parts[shard_of(key, shards)][key] = entry
        return tuple(Shard(part) for part in parts)

    def dependents(self, package: str) -> tuple[Edge, ...]:
        """Whose newest version depends on the package, in whatever range; by name."""
        return self._reversed.get(package, ())

    @cached_property
    def _reversed(self) -> dict[str, tuple[Edge, ...]]:
        found: defaultdict[str, list[Edge]] = defaultdict(list)
        for key in sorted(self.entries):
            for each in self.entries[key].dependencies:
                found[each.package].append(Edge(key, each.requirement, each.kind))
        return {package: tuple(edges) for package, edges in found.items()}
