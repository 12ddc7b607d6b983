"""Drains the instances of a window's plan that are nodes of EKS clusters."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.aws.clients import client
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.kubernetes_clusters import EksClusters
from signalbox.spot.nodes import DrainNodes
from signalbox.spot.settings import WorkSettings
from signalbox.spot.tasks import work, worker
from signalbox.telemetry import logger, tracer

NODES_AT_ONCE = 16


@cache
def use_case() -> Worker:
    settings = WorkSettings.from_environment(os.environ)
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time)
    clusters = EksClusters(client("eks"), client("sts"), time.time)
    spread = ThreadPoolExecutor(NODES_AT_ONCE).map
    return worker(ledger, {"nodes": DrainNodes(clusters, time.time, time.sleep, spread)})


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return work(use_case(), event, context)
