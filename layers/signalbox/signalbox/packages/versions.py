"""Versions and ranges of every format: read by its own rules, compared, and the newest found.

What no rule can read is a finding, never an exception: one package's odd version must not stop a plan.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from signalbox.packages.coordinates import Format, Package
from signalbox.packages.findings import Finding
from signalbox.packages.ranges import generic, maven, npm, nuget, pypi
from signalbox.packages.ranges.scheme import Range, Scheme, UnparsableError, Version

SCHEMES: dict[Format, Scheme] = {
    Format.NPM: npm,
    Format.PYPI: pypi,
    Format.MAVEN: maven,
    Format.NUGET: nuget,
    Format.GENERIC: generic,
}
LONGEST = 512
"""Longer texts are not read: the grammars are regular expressions, and some take their time."""
REMEMBERED = 20_000
"""Texts: the same ranges come again and again, and reading one takes some 0.1 ms."""


def read_version(format_: Format, text: str, subject: str) -> Version | Finding:
    """The version, or ``unparsable-version``.

    Args:
        subject: the key of the package, for the finding.
    """
    read = _version(format_, text)
    return Finding("unparsable-version", subject, f"{subject}: {read}") if isinstance(read, str) else read


def read_range(format_: Format, text: str, subject: str, on: str) -> Range | Finding:
    """The range, or ``unparsable-range``.

    Args:
        subject: the key of the package that has the requirement, for the finding.
        on: the key of the package that it depends on, likewise.
    """
    read = range_of(format_, text)
    if isinstance(read, str):
        return Finding("unparsable-range", subject, f"{subject} depends on {on}: {read}")
    return read


@lru_cache(REMEMBERED)
def _version(format_: Format, text: str) -> Version | str:
    if len(text) > LONGEST:
        return _too_long(text)
    try:
        return SCHEMES[format_].read_version(text)
    except UnparsableError as error:
        return str(error)


@lru_cache(REMEMBERED)
def range_of(format_: Format, text: str) -> Range | str:
    """The range, or why there is none."""
    if len(text) > LONGEST:
        return _too_long(text)
    try:
        return SCHEMES[format_].read_range(text)
    except UnparsableError as error:
        return str(error)


def _too_long(text: str) -> str:
    return f"{text[:40]!r}… has {len(text)} characters: nothing longer than {LONGEST} is read"


class Newest(NamedTuple):
    """The newest of a package's versions; None where there is none."""

    version: str | None
    findings: tuple[Finding, ...] = ()


def newest(package: Package, versions: Sequence[str]) -> Newest:
    """The highest version; a prerelease only where there is nothing else.

    Args:
        versions: those that are published, the latest first. Where none can be read, or the format has no
            order, the latest counts.
    """
    if not versions:
        return Newest(None)
    if package.format is Format.GENERIC:
        return Newest(versions[0])
    read = [read_version(package.format, each, package.key) for each in versions]
    known = [each for each in read if isinstance(each, Version)]
    findings = _unreadable(package, versions, read)
    highest = max(known, key=lambda each: (not each.prerelease, each.rank), default=None)
    return Newest(highest.text if highest else versions[0], findings)


def _unreadable(
    package: Package, versions: Sequence[str], read: Sequence[Version | Finding]
) -> tuple[Finding, ...]:
    """One finding, however many there are."""
    odd = [text for text, each in zip(versions, read, strict=True) if isinstance(each, Finding)]
    if not odd:
        return ()
    named = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
    text = f"{package.key}: no rule of {package.format} reads {named}"
    return (Finding("unparsable-version", package.key, text),)


def previous(package: Package, version: str, versions: Sequence[str]) -> str | None:
    """The highest of the versions below this one, prereleases aside; None where nothing can be said."""
    this = read_version(package.format, version, package.key)
    if isinstance(this, Finding) or package.format is Format.GENERIC:
        return None
    read = (read_version(package.format, each, package.key) for each in versions)
    below = [each for each in read if isinstance(each, Version) and each < this and not each.prerelease]
    return max(below, key=lambda each: each.rank).text if below else None


def supersedes(package: Package, newer: str, older: str) -> bool:
    """Whether the release of one version makes that of another, published before it, pointless.

    It does where it is higher in the same line (`Version.line`): 1.4.3 takes the place of 1.4.2, but 2.0.0
    does not, as some stay with 1.x. A prerelease takes the place of prereleases only. Where there is no
    order, what was published later is newer.
    """
    if newer == older:
        return False
    one = read_version(package.format, newer, package.key)
    other = read_version(package.format, older, package.key)
    if isinstance(one, Finding) or isinstance(other, Finding) or package.format is Format.GENERIC:
        return True
    return one.line == other.line and other < one and (other.prerelease or not one.prerelease)
