"""How a command of the embedded AWS ends: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.deployment import DeploymentError
from local.processes import ProcessError
from local.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES = (DeploymentError, ProcessError, BotoCoreError, ClientError)


def exit_code(
    command: str,
    run: Callable[[], int],
    *,
    wrong: tuple[type[Exception], ...] = (),
    failures: tuple[type[Exception], ...] = (),
) -> int:
    """What `run` answers; an error that a person can do something about is a line on standard error.

    Args:
        command: its name, for that line.
        run: the command.
        wrong: its own errors that end it with 2, beside those of the settings.
        failures: its own errors that end it with 1, beside those of the embedded AWS.
    """
    misuse: tuple[type[Exception], ...] = (SettingsError, *wrong)
    failed: tuple[type[Exception], ...] = (*FAILURES, *failures)
    try:
        return run()
    except misuse as error:
        print(error, file=sys.stderr)
        return 2
    except failed as error:
        print(f"{command} failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return 130
