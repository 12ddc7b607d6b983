"""Where EventBridge keeps an event that it can't deliver, and ministack drops it: put back, for the spine.

Only the cases that need no clock: a target queue that isn't there, or whose policy doesn't admit the rule.
EventBridge does not try these again; it puts the event into the target's dead-letter queue at once, if that
one's policy admits the rule, with the reason in attributes ("Using dead-letter queues to process undelivered
events" and "Using resource-based policies for Amazon EventBridge", EventBridge User Guide).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import eventbridge, sqs

from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("signalbox.undelivered")


def install() -> None:
    """Makes ministack use the dead-letter queues of targets that are queues."""
    deliver = eventbridge._invoke_target

    def delivered_or_kept(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        reason = refusal(target, rule)
        if reason is None:
            deliver(target, event, rule, view)
        else:
            keep(target, event, rule, view, reason)

    eventbridge._invoke_target = delivered_or_kept


def refusal(target: Mapping[str, Any], rule: Mapping[str, Any]) -> tuple[str, str] | None:
    """Code and words where a target is a queue that takes nothing from the rule; else None."""
    arn = str(target["Arn"])
    if not arn.startswith("arn:aws:sqs:"):
        return None
    if sqs._queue_by_arn(arn) is None:
        return "NO_RESOURCE", "The specified queue does not exist."
    if not admits(arn, rule):
        return "NO_PERMISSIONS", "Access to the resource is denied."
    return None


def admits(queue_arn: str, rule: Mapping[str, Any]) -> bool:
    """Whether a queue is there and its policy lets the rule send to it, or IAM is not enforced."""
    if sqs._queue_by_arn(queue_arn) is None:
        return False
    source = str(rule["Arn"])
    # A service comes by TLS, whatever the event came by.
    token = iam_evaluator._request_origin.set((HOST, True))
    try:
        return bool(sqs.queue_policy_allows(queue_arn, "events.amazonaws.com", source, source.split(":")[4]))
    finally:
        iam_evaluator._request_origin.reset(token)


def keep(
    target: Mapping[str, Any],
    event: dict[str, Any],
    rule: Mapping[str, Any],
    view: Any,
    reason: tuple[str, str],
) -> None:
    """Puts an event into the target's dead-letter queue; it is lost where there is none that takes it."""
    arn = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    if not admits(arn, rule):
        logger.warning(
            "an event of %s is lost: %s, and no dead-letter queue takes it", rule["Arn"], reason[0]
        )
        return
    queue = sqs._queue_by_arn(arn)
    document = (view or eventbridge._pattern_event_view(event)).event_with_detail()
    said = {
        "RULE_ARN": rule["Arn"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": reason[0],
        "ERROR_MESSAGE": reason[1],
        "RETRY_ATTEMPTS": "0",
    }
    eventbridge._dispatch_to_sqs(eventbridge.parse_arn(arn), json.dumps(document))
    queue["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": text} for name, text in said.items()
    }
