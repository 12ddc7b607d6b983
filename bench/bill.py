"""What a storm has used of the stack: read from its logs, its executions and its ledger."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.figures import POINTER_WRITES, write_units
from bench.prices import Usage
from local.deployment import STACK
from local.settings import ACCOUNT, REGION
from signalbox.spot.episodes import episode_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from local.account import WindowAccount
    from local.embedded import EmbeddedAws

LOG_GROUPS = f"/aws/lambda/{STACK}/"
SWEEP = "spot_sweep_windows"
"""Runs each minute, storm or not: no part of a storm's bill."""
REPORT = re.compile(r"^REPORT RequestId: \S+\tDuration: (?P<milliseconds>\d+) ms\t")
MEMORY_GB = 0.5
SQS_BATCH = 10
"""Messages that the poller takes, or deletes, with one request."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Reads what was used from `since` (seconds since 1970) on."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]
    since: float

    def usage(self, windows: Sequence[WindowAccount], instances: Collection[str]) -> Usage:
        """Of these windows, which have handled these instances."""
        kinds = Counter(action.kind for window in windows for action in window.actions)
        invocations = self.invocations()
        return Usage(
            invocations=sum(map(len, invocations.values())),
            gb_seconds=sum(map(sum, invocations.values())) / 1000 * MEMORY_GB,
            write_units=self._write_units(windows, instances),
            transitions=self._transitions(windows),
            # Sent one by one by EventBridge; received and deleted in tens.
            sqs_requests=len(instances) + 2 * math.ceil(len(instances) / SQS_BATCH),
            messages=kinds["alert"],
            custom_events=kinds["event"],
        )

    def invocations(self) -> dict[str, list[int]]:
        """Function → milliseconds of each invocation, as Lambda's report lines have them."""
        logs = self.aws.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix=LOG_GROUPS)["logGroups"]
        pages = logs.get_paginator("filter_log_events")
        return {
            name: [
                int(found["milliseconds"])
                for page in pages.paginate(logGroupName=LOG_GROUPS + name, startTime=int(self.since * 1000))
                for event in page["events"]
                if (found := REPORT.match(event["message"]))
            ]
            for group in groups
            if (name := group["logGroupName"].removeprefix(LOG_GROUPS)) != SWEEP
        }

    def _transitions(self, windows: Sequence[WindowAccount]) -> int:
        """States entered. Of what is inside a Parallel the emulator's histories have the tasks' calls alone.

        A branch enters its first and its last state, and for each call of its task the task and the choice
        after it. Commands that are due later are waited for once.
        """
        histories = [self._history(arn) for arn in self._executions(windows)]
        entered = sum(
            count for history in histories for kind, count in history.items() if kind.endswith("StateEntered")
        )
        inside = sum(history["TaskScheduled"] - history["TaskStateEntered"] for history in histories)
        waits = sum(any(action.kind == "command" for action in window.actions) for window in windows)
        return entered + 2 * self._branches() * len(histories) + 2 * inside + waits

    def _branches(self) -> int:
        machine = self.aws.client("stepfunctions").describe_state_machine(
            stateMachineArn=self.outputs["SpotStateMachineArn"]
        )
        states = json.loads(machine["definition"])["States"].values()
        return sum(len(state.get("Branches", ())) for state in states)

    def _executions(self, windows: Sequence[WindowAccount]) -> list[str]:
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        names = tuple(window.window.execution_name for window in windows)
        return [
            execution["executionArn"]
            for page in pages.paginate(stateMachineArn=self.outputs["SpotStateMachineArn"])
            for execution in page["executions"]
            if names and execution["name"].startswith(names)
        ]

    def _history(self, execution: str) -> Counter[str]:
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history")
        return Counter(
            event["type"] for page in pages.paginate(executionArn=execution) for event in page["events"]
        )

    def _write_units(self, windows: Sequence[WindowAccount], instances: Collection[str]) -> int:
        ours = {f"WINDOW#{window.window}" for window in windows}
        ours |= {f"RECORD#{episode_key(ACCOUNT, REGION, instance)}" for instance in instances}
        rows = sum(write_units(item) for item in self._rows() if item["pk"]["S"] in ours)
        return rows + POINTER_WRITES * len(windows)

    def _rows(self) -> Iterator[dict[str, Any]]:
        pages = self.aws.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.outputs["LedgerTableName"], ConsistentRead=True):
            yield from page["Items"]
