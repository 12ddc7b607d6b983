"""Sends the groups' commands to the instances of a window's plan."""

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import ONCE, client
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.aws_estate import AwsRunCommand
from signalbox.spot.performers import SendCommands
from signalbox.spot.settings import WorkSettings
from signalbox.spot.tasks import work, worker
from signalbox.telemetry import logger, tracer


@cache
def use_case() -> Worker:
    settings = WorkSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    send = SendCommands(AwsRunCommand(client("ssm", attempts=ONCE)), time.time)
    return worker(ledger, {"checkpoint": send, "command": send})


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return work(use_case(), event, context)
