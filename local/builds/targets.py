"""Rules and schedules that start builds, which ministack drops.

A rule of EventBridge has the project's ARN for a target, and for `Input` what StartBuild is to override
("CodeBuild project" under "Event bus targets", EventBridge User Guide). A schedule of EventBridge Scheduler
has the universal target of StartBuild, and for `Input` its parameters, in Pascal case ("Using universal
targets", EventBridge Scheduler User Guide). Either starts the build as the target's role.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, scheduler

from local.service_roles import denial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    type Request = dict[str, Any]

UNIVERSAL = "arn:aws:scheduler:::aws-sdk:codebuild:startBuild"
TICK_SECONDS = 1.0
"""ministack looks for due schedules every ten."""

logger = logging.getLogger("signalbox.builds")


def install(start: Callable[[Request], Any]) -> None:
    """`start` is StartBuild."""
    deliver = eventbridge._invoke_target

    def delivered_or_started(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        request = wanted(target)
        if request is None:
            deliver(target, event, rule, view)
        elif reason := _refusal(target, rule, request, start):
            logger.warning("%s starts no build: %s", rule["Arn"], reason)

    eventbridge._invoke_target = delivered_or_started
    scheduler._SCHEDULE_TICK_INTERVAL = TICK_SECONDS


def wanted(target: Mapping[str, Any]) -> Request | None:
    """What StartBuild is asked for by a target; None for one that isn't CodeBuild's."""
    given = json.loads(target.get("Input") or "{}")
    arn = str(target["Arn"])
    if arn == UNIVERSAL:
        return {name[:1].lower() + name[1:]: value for name, value in given.items()}
    if arn.startswith("arn:aws:codebuild:"):
        return {**given, "projectName": arn.rpartition("/")[2]}
    return None


def _refusal(
    target: Mapping[str, Any], rule: Mapping[str, Any], request: Request, start: Callable[[Request], Any]
) -> str | None:
    role = str(target.get("RoleArn", ""))
    project = f"arn:aws:codebuild:{get_region()}:{get_account_id()}:project/{request.get('projectName')}"
    if ministack.AUTH and (refusal := denial(role, "codebuild:StartBuild", project)):
        return refusal
    told = iam_evaluator._request_caller_arn.set(_caller(role, rule))
    try:
        status, _, body = start(request)
    finally:
        iam_evaluator._request_caller_arn.reset(told)
    return None if status == HTTPStatus.OK else body.decode()


def _caller(role: str, rule: Mapping[str, Any]) -> str:
    """A build says of a rule that it is its initiator, and of a schedule the role with its session."""
    arn = str(rule["Arn"])
    if ":events:" in arn:
        return arn
    return f"arn:aws:sts::{arn.split(':')[4]}:assumed-role/{role.rpartition('/')[2]}/scheduler"
