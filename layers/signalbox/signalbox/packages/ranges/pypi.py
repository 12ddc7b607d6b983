"""PyPI: PEP 440 by ``packaging``, the library that pip itself uses."""

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as Pep440

from signalbox.packages.ranges.scheme import UnparsableError, Version, Width

EXACT = frozenset({"==", "==="})
FROM_BELOW = frozenset({"==", "===", "~=", ">=", ">"})
FROM_ABOVE = frozenset({"==", "===", "~=", "<=", "<"})


class SpecifierRange:
    """A set of specifiers, as in ``>=1.4,<2``.

    A prerelease is admitted only where a specifier names one: which other versions there are is not known
    here, so that PEP 440's exception, that a prerelease is taken where nothing else is left, can't be.
    """

    soft = False

    def __init__(self, specifiers: SpecifierSet) -> None:
        self._specifiers = specifiers
        self._prereleases = bool(specifiers.prereleases)
        self.width = _width(specifiers)
        self.floors = tuple(_floors(specifiers))

    def admits(self, version: Version) -> bool:
        # === compares texts, so that it wants the one that was published.
        return self._specifiers.contains(version.text, prereleases=self._prereleases)


def read_version(text: str) -> Version:
    try:
        version = Pep440(text)
    except InvalidVersion:
        what = f"{text!r} is no version by PEP 440: expected one like 1.4.2 or 2.0rc1"
        raise UnparsableError(what) from None
    return Version(text, version, version.release, prerelease=version.is_prerelease, epoch=version.epoch)


def read_range(text: str) -> SpecifierRange:
    """Also in parentheses, as older metadata has it. None at all admits every version."""
    inside = text.strip()
    if inside.startswith("(") and inside.endswith(")"):
        inside = inside[1:-1]
    try:
        return SpecifierRange(SpecifierSet(inside))
    except InvalidSpecifier:
        raise UnparsableError(f"{text!r} is no specifier by PEP 440: expected one like >=1.4,<2") from None


def _width(specifiers: SpecifierSet) -> Width:
    if any(each.operator in EXACT and not each.version.endswith(".*") for each in specifiers):
        return Width.EXACT
    return Width.BOUNDED if any(each.operator in FROM_ABOVE for each in specifiers) else Width.OPEN


def _floors(specifiers: SpecifierSet) -> list[Version]:
    named = [each.version.removesuffix(".*") for each in specifiers if each.operator in FROM_BELOW]
    found = []
    for text in named:
        try:
            found.append(read_version(text))
        except UnparsableError:  # === takes any text
            continue
    return sorted(found)[-1:]
