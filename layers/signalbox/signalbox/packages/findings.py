"""What was found wrong, named: it goes into the record and the alert, and stops nothing by itself."""

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """What follows from something."""

    ALLOW = "allow"
    WARN = "warn"
    """It is told, and the release goes on."""
    DENY = "deny"
    """The release stops."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it should be. What follows from it the policy says.

    Attributes:
        code: stable and lower case, as in ``cycle``.
        subject: what it is about, mostly a package's key.
        text: a sentence for a person: what is wrong, and where.
    """

    code: str
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class Objection(msgspec.Struct, frozen=True):
    """One thing that the policy has to say: a stable code, what follows, and a sentence for a person."""

    code: str
    level: Level
    text: str
