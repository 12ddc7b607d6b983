"""Drains the instances of a window's plan that are nodes of EKS clusters."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.aws.estates import ESTATES_KEPT, Estate, Home
from signalbox.ledger.actions import Worker
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.spot.kubernetes_clusters import EksClusters
from signalbox.spot.nodes import DrainNodes
from signalbox.spot.settings import EstateSettings
from signalbox.spot.tasks import parse_task, work, worker
from signalbox.telemetry.steps import step

NODES_AT_ONCE = 16


@cache
def settings() -> EstateSettings:
    return EstateSettings.from_environment(os.environ)


@cache
def threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(NODES_AT_ONCE)


@lru_cache(maxsize=ESTATES_KEPT)
def use_case(estate: Estate) -> Worker:
    ledger = DynamoLedger(client("dynamodb"), settings().ledger_table, time.time)
    clusters = EksClusters(estate.client("eks"), estate.client("sts"), time.time)
    return worker(ledger, {"nodes": DrainNodes(clusters, time.time, time.sleep, threads().map)})


at_init(use_case, Home())


@step("spot", "DrainNodes")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    task = parse_task(event)
    return work(use_case(settings().hub.estate(task.window)), task, context)
