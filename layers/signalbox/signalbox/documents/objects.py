"""Something that happened to an object of S3, whichever way it was told."""

import re
from typing import Literal

import msgspec

from signalbox.documents.entries import entry_key

SEQUENCER_DIGITS = 32
"""Seen are 16 and 18."""
HEXADECIMAL = re.compile(rf"[0-9A-Fa-f]{{1,{SEQUENCER_DIGITS}}}")

type Cause = Literal["created", "deleted", "found"]
type Way = Literal["native", "cloudtrail", "found"]


class ObjectEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event about one object.

    Attributes:
        key: as it is: never URL-encoded.
        cause: ``found`` where nothing has changed: somebody wants the object looked at.
        way: how it came: from S3 itself, as an API call that CloudTrail recorded, or from this program.
        occurred_at: seconds since 1970.
        account: the bucket's.
        sequencer: `padded`; "" where the event has none. It orders the changes of one key.
        version_id, etag, size, request_id: "", or None, where the event does not say.
    """

    bucket: str
    key: str
    cause: Cause
    way: Way
    occurred_at: float
    account: str
    region: str
    version_id: str = ""
    sequencer: str = ""
    etag: str = ""
    size: int | None = None
    request_id: str = ""

    @property
    def entry_key(self) -> str:
        """Of the ledger's record of the object."""
        return entry_key(self.bucket, self.key)


def padded(sequencer: str) -> str:
    """A sequencer that compares as text, also as a condition of DynamoDB.

    S3's are of different lengths: the shorter is padded with zeros on the right, then text order holds
    ("Event message structure", Amazon S3 User Guide).

    Raises:
        ValueError: it is no hexadecimal number, or too long.
    """
    if not HEXADECIMAL.fullmatch(sequencer):
        raise ValueError(f"{sequencer!r} is not one to {SEQUENCER_DIGITS} hexadecimal digits")
    return sequencer.lower().ljust(SEQUENCER_DIGITS, "0")
