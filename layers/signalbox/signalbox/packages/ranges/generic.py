"""Generic packages: a version is a name. There is no order among them, and a range is one version."""

from signalbox.packages.ranges.scheme import UnparsableError, Version, Width


class ExactRange:
    """Admits the version it names, as it is spelt."""

    width = Width.EXACT
    soft = False

    def __init__(self, version: Version) -> None:
        self.floors = (version,)

    def admits(self, version: Version) -> bool:
        return version == self.floors[0]


def read_version(text: str) -> Version:
    """Any text but none. ``rank`` is the text: it makes sorting repeatable, and means nothing."""
    if not text:
        raise UnparsableError("an empty version: expected its name")
    return Version(text, text, (), prerelease=False)


def read_range(text: str) -> ExactRange:
    return ExactRange(read_version(text))
