"""npm: semver ranges by ``node-semver``, a port of npm's own library.

Read strictly, as npm does when it publishes. The port takes some texts for ranges that npm does not, such as
``^`` or ``1.x.3``: they are sorted out before.
"""

import re

import nodesemver  # type: ignore[import-untyped] # ships no types

from signalbox.packages.ranges.scheme import UnparsableError, Version, Width

NUMBER = r"(?:0|[1-9]\d*)"
ANY = r"[xX*]"
LABELS = r"(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
PARTIAL = (
    rf"[v=]*(?:{NUMBER}(?:\.{NUMBER}(?:\.(?:{NUMBER}|{ANY}){LABELS})?|\.{ANY}(?:\.{ANY}{LABELS})?)?"
    rf"|{ANY}(?:\.{ANY}(?:\.{ANY}{LABELS})?)?)"
)
"""1, 1.2, 1.2.3-beta, 1.x: once a part is left open, so are those after it."""
COMPARATOR = rf"(?>(?:\^|~>?|[<>]=?|=)? ?[v=]* ?{PARTIAL})"  # atomic: nothing is tried twice
ALTERNATIVE = re.compile(rf" ?(?:{PARTIAL} - {PARTIAL}|{COMPARATOR}(?: {COMPARATOR})*+)? ?")
"""Between two ``||``; a run of white space counts as one space."""
UPPER = frozenset({"<", "<="})
EXACT = frozenset({"", "="})


class SemverRange:
    """A range, as in ``^1.2.0 || >=3``.

    A prerelease is admitted only where a comparator names a prerelease of the same three numbers.
    """

    soft = False

    def __init__(self, parsed: nodesemver.Range) -> None:
        self._parsed = parsed
        alternatives = [[each for each in some if each.semver is not nodesemver.ANY] for some in parsed.set]
        self.width = _width(alternatives)
        self.floors = tuple(
            _version(each.semver) for some in alternatives for each in some if each.operator not in UPPER
        )

    def admits(self, version: Version) -> bool:
        return bool(self._parsed.test(version.text))


def read_version(text: str) -> Version:
    try:
        return _version(nodesemver.make_semver(text, loose=False))
    except ValueError:
        what = f"{text!r} is no semantic version: expected one like 1.4.2 or 2.0.0-beta.1"
        raise UnparsableError(what) from None


def read_range(text: str) -> SemverRange:
    spaced = " ".join(text.split())
    if not all(ALTERNATIVE.fullmatch(each) for each in spaced.split("||")):
        raise UnparsableError(_expected(text))
    try:
        return SemverRange(nodesemver.make_range(spaced, loose=False))
    except ValueError:
        raise UnparsableError(_expected(text)) from None


def _expected(text: str) -> str:
    return f"{text!r} is no semver range: expected one like ^1.4.2 or >=1.4 <3; tags and addresses are none"


def _version(semver: nodesemver.SemVer) -> Version:
    release = (semver.major, semver.minor, semver.patch)
    # Numbers before names, and a release after its prereleases ("Precedence", Semantic Versioning 2.0.0).
    labels = tuple((0, each, "") if isinstance(each, int) else (1, 0, each) for each in semver.prerelease)
    return Version(semver.raw, (release, not labels, labels), release, prerelease=bool(labels))


def _width(alternatives: list[list[nodesemver.Comparator]]) -> Width:
    if all(any(each.operator in EXACT for each in some) for some in alternatives) and len(alternatives) == 1:
        return Width.EXACT
    closing = UPPER | EXACT
    bounded = all(any(each.operator in closing for each in some) for some in alternatives)
    return Width.BOUNDED if bounded else Width.OPEN
