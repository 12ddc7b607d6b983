"""Makes the index of dependents anew: every package of every repository that versions are released from."""

import os
import random
import time
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from signalbox.at_init import at_init
from signalbox.aws.clients import client
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.aws_codeartifact import CodeArtifactRepositories
from signalbox.packages.entries import RETENTION_SECONDS
from signalbox.packages.index_store import IndexStore
from signalbox.packages.rebuilding import LOOKS_AT_ONCE, Patience, RebuildIndex
from signalbox.packages.settings import RebuildSettings
from signalbox.packages.telemetry import report_rebuild
from signalbox.side_by_side import SideBySide
from signalbox.telemetry.steps import step


@cache
def use_case() -> RebuildIndex:
    settings = RebuildSettings.from_environment(os.environ)
    domain, owner = settings.packages_domain, settings.packages_domain_owner
    ledger = DynamoLedger(client("dynamodb"), settings.ledger_table, time.time, retention=RETENTION_SECONDS)
    return RebuildIndex(
        IndexStore(ledger, domain),
        CodeArtifactRepositories(client("codeartifact"), domain, owner),
        settings.sources,
        time.time,
        Patience(time.sleep, random.random),
        SideBySide(LOOKS_AT_ONCE),
    )


at_init(use_case)


@step("packages", "RebuildIndex")
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    rebuilt = use_case().rebuild()
    report_rebuild(rebuilt.packages, rebuilt.seconds, rebuilt.findings)
    return {"packages": rebuilt.packages, "findings": len(rebuilt.findings), "seconds": rebuilt.seconds}
