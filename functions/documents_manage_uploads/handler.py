"""Answers the upload API."""

import os
import secrets
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.documents.settings import UploadSettings
from signalbox.documents.uploads.api import respond
from signalbox.documents.uploads.aws_multipart import AwsMultipart, signing_client
from signalbox.documents.uploads.managing import ManageUploads
from signalbox.documents.uploads.models import RETENTION_SECONDS
from signalbox.documents.uploads.telemetry import report_answer, report_failure
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.telemetry.steps import step


@cache
def use_case() -> ManageUploads:
    settings = UploadSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS)
    signing = signing_client(accelerated=settings.documents_upload_accelerated)
    seconds = settings.documents_upload_url_seconds
    multipart = AwsMultipart(client("s3"), signing, settings.documents_bucket, seconds)
    rule = (settings.documents_upload_prefix, settings.documents_upload_maximum_bytes)
    return ManageUploads(ledger, multipart, time.time, secrets.token_urlsafe, rule, url_seconds=seconds)


at_init(use_case)


@step("documents", "ManageUploads")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    answer = respond(use_case(), event, report_failure)
    report_answer(event, answer)
    return answer
