"""Whether a version is still what its release is about: the pinned revision, and published."""

from signalbox.packages.entries import Entry
from signalbox.packages.repositories import Description, Status


def change_of(entry: Entry, described: Description | None) -> str:
    """How a version, as its repository has it now, differs from that, for a person; "" where it does not."""
    shown, repository = entry.package_version.shown, entry.repository
    if described is None:
        return f"{shown} is not in {repository} any more"
    if described.status is not Status.PUBLISHED:
        return f"{shown} is {described.status} in {repository}, no longer {Status.PUBLISHED}"
    if described.revision != entry.release.revision:
        return f"{shown} in {repository} is another revision by now"
    return ""
