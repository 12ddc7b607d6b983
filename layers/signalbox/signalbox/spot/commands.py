"""The commands that a group wants run on an instance before it goes.

They lie in Parameter Store at ``<prefix>/<group>/commands``, as JSON::

    {"checkpoint": ["/opt/save-state"], "shutdown": ["systemctl stop web"], "timeout_seconds": 25}
"""

import re
from typing import Annotated

import msgspec

from signalbox.errors import RejectedError

LONGEST_COMMAND = 4096
DEFAULT_TIMEOUT_SECONDS = 25
_PARAMETER_PART = re.compile(r"[a-zA-Z0-9_.\-]+")


type Script = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_COMMAND)], ...],
    msgspec.Meta(min_length=1, max_length=50),
]


class GroupCommands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a group wants run on an instance, each script in order in one shell.

    Attributes:
        shutdown: at T-30 s.
        checkpoint: at once.
        timeout_seconds: how long either may take.
    """

    shutdown: Script | None = None
    checkpoint: Script | None = None
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=110)] = DEFAULT_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        if self.shutdown is None and self.checkpoint is None:
            raise ValueError("expected `shutdown`, `checkpoint` or both")


def parameter_name(prefix: str, group: str) -> str | None:
    """Where a group's commands lie; None for a group whose name Parameter Store can't spell."""
    return f"{prefix}/{group}/commands" if _PARAMETER_PART.fullmatch(group) else None


def parse_commands(parameter: str, value: str) -> GroupCommands:
    """The commands in a parameter's value.

    Raises:
        RejectedError: ``commands-invalid``; says what is wrong and where in the parameter.
    """
    try:
        return msgspec.json.decode(value, type=GroupCommands)
    except msgspec.DecodeError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("commands-invalid", f"{parameter} {where.strip('`') or '$'}", what) from error
