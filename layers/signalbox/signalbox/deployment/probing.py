"""What a version of a function answers when it is asked whether it could work: a probe.

It changes nothing. When it is asked, INIT has gone well: the layers are there, the settings make sense, the
clients are made (``signalbox.at_init``). What it adds: the ledger answers, under the function's own role, if
the function has to do with it.
"""

import os
from contextlib import suppress
from typing import Any

from signalbox.aws.calls import call
from signalbox.aws.clients import client
from signalbox.errors import ConflictError

PROBE = "signalbox-probe"
"""The member that makes an event a probe; its value says who asks. No event of AWS's and no task has it."""
NOBODY = {"pk": {"S": "PROBE"}, "sk": {"S": "PROBE"}}
"""The key of a row that there never is."""


def is_probe(event: dict[str, Any]) -> bool:
    return PROBE in event


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Who answers, and what it could reach.

    Raises:
        SignalboxError: the ledger did not answer.
    """
    table = os.environ.get("LEDGER_TABLE", "")
    if table:
        _ask(table)
    return {
        PROBE: event[PROBE],
        "version": os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", ""),
        "settings": os.environ.get("SIGNALBOX_SETTINGS", ""),
        "reached": ["ledger"] if table else [],
    }


def _ask(table: str) -> None:
    """Asks to change a row on the condition that there is one, which every user of the ledger may."""
    with suppress(ConflictError):
        call(
            client("dynamodb").update_item,
            TableName=table,
            Key=NOBODY,
            UpdateExpression="REMOVE nothing",
            ConditionExpression="attribute_exists(pk)",
        )
