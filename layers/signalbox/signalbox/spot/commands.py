"""The commands that a group wants run on an instance before it goes.

They lie in Parameter Store at ``<prefix>/<group>/commands``, as JSON::

    {"checkpoint": ["/opt/save-state"], "shutdown": ["systemctl stop web"], "timeout_seconds": 25}
"""

import re
from typing import Annotated, Final

import msgspec

from signalbox.errors import RejectedError
from signalbox.spot.configuration import COMMANDS_TAG
from signalbox.spot.estate import Instance

LONGEST_COMMAND = 4096
DEFAULT_TIMEOUT_SECONDS = 25
COMMAND_KINDS: Final = ("fail-health-check", "checkpoint", "command")
"""The kinds of action that run a script, in the order in which they are sent."""
ALLOWED = (
    "shutdown, checkpoint and fail_health_check, one of them at least, each 1 to 50 lines of 1 to 4096 "
    "characters, none blank; timeout_seconds, 1 to 110"
)
_PARAMETER_PART = re.compile(r"[a-zA-Z0-9_.\-]+")


type Script = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_COMMAND, pattern=r"\S")], ...],
    msgspec.Meta(min_length=1, max_length=50),
]


class GroupCommands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a group wants run on an instance, each script in order in one shell.

    Attributes:
        shutdown: at T-30 s.
        checkpoint: at once.
        fail_health_check: at once, and only behind a Network Load Balancer: what makes its health check fail.
        timeout_seconds: how long each may take.
    """

    shutdown: Script | None = None
    checkpoint: Script | None = None
    fail_health_check: Script | None = None
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=110)] = DEFAULT_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        if not any(self.script(kind) for kind in COMMAND_KINDS):
            raise ValueError("expected `shutdown`, `checkpoint` or `fail_health_check`")

    def script(self, kind: str) -> Script | None:
        """What an action of one of the `COMMAND_KINDS` runs."""
        return {
            "fail-health-check": self.fail_health_check,
            "checkpoint": self.checkpoint,
            "command": self.shutdown,
        }[kind]


def commands_name(instance: Instance) -> str:
    """Whose commands run on the instance: those that its tag names, or its group's."""
    return instance.tags.get(COMMANDS_TAG) or instance.group


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
        place = f"{parameter} {where.strip('`') or '$'}"
        raise RejectedError("commands-invalid", place, f"{what}; allowed: {ALLOWED}") from error
