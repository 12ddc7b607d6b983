import pytest

from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.pinning import change_of
from signalbox.packages.releases import State
from signalbox.packages.repositories import Description, Status
from tests.unit.packages.releases_under_way import UI, under_way

ENTRY = under_way(MemoryLedger(), State.READY, "r1")


def described(status: Status = Status.PUBLISHED, revision: str = "r1") -> Description:
    return Description(version=UI, status=status, revision=revision)


def test_what_is_published_as_it_was_built_has_not_changed() -> None:
    assert change_of(ENTRY, described()) == ""


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (None, "ui 1.1.0 is not in team any more"),
        (described(Status.UNLISTED), "ui 1.1.0 is Unlisted in team, no longer Published"),
        (described(Status.UNLISTED, "r2"), "ui 1.1.0 is Unlisted in team, no longer Published"),
        (described(revision="r2"), "ui 1.1.0 in team is another revision by now"),
    ],
)
def test_what_has_changed_is_named(now: Description | None, what: str) -> None:
    assert change_of(ENTRY, now) == what
