"""Indexes for tests, written shortly."""

from collections.abc import Mapping, Sequence

from signalbox.packages.dependents import Dependency, Entry, Index, Kind


def key(name: str, format_: str = "npm") -> str:
    return f"{format_}/{'acme' if format_ == 'maven' else ''}/{name}"


def dependency(said: str, format_: str = "npm") -> Dependency:
    """Of ``core``, ``core ^2.0.0`` or ``core ^2.0.0 dev``."""
    name, requirement, kind = [*said.split(), *["^1.0.0", "runtime"][len(said.split()) - 1 :]]
    return Dependency(key(name, format_), requirement, Kind(kind))


def index(
    packages: Mapping[str, Sequence[str]], versions: Mapping[str, str] | None = None, format_: str = "npm"
) -> Index:
    """Name → what it depends on. All are of version 1.0.0, unless said otherwise."""
    return Index(
        {
            key(name, format_): Entry(
                (versions or {}).get(name, "1.0.0"), 1, 1.0, tuple(dependency(each, format_) for each in on)
            )
            for name, on in packages.items()
        }
    )
