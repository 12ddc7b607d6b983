"""Has Textract read the pages of a scan."""

import os
import random
import time
from functools import cache
from typing import Any

import msgspec
from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import ONCE, client
from signalbox.documents.aws_analysis import TextractLines
from signalbox.documents.aws_objects import Objects
from signalbox.documents.recognition import PAGES_AT_ONCE, RecogniseText
from signalbox.documents.settings import WorkSettings
from signalbox.documents.tasks import parse_task
from signalbox.documents.telemetry import report_recognition
from signalbox.side_by_side import SideBySide
from signalbox.telemetry.steps import step

HAND_BACK_SECONDS = 15.0  # before the function's timeout: for a page that hangs, and for keeping the text


@cache
def use_case() -> RecogniseText:
    bucket = WorkSettings.from_environment(os.environ).documents_work_bucket
    pages = TextractLines(client("textract", attempts=ONCE))
    spread = SideBySide(PAGES_AT_ONCE)
    return RecogniseText(Objects(client("s3")), bucket, pages, time.time, time.sleep, random.random, spread)


at_init(use_case)


@step("documents", "RecogniseText")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    until = time.time() + context.get_remaining_time_in_millis() / 1000 - HAND_BACK_SECONDS
    recognised = use_case().recognise(task, until)
    report_recognition(recognised.text, recognised.verdict)
    return dict(msgspec.to_builtins(recognised))
