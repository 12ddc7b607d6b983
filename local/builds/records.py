"""A build as CodeBuild describes it: the record that BatchGetBuilds answers, and the events about it.

Record: `Build` of the CodeBuild API Reference. Event: "Build notifications input format reference", CodeBuild
User Guide. Records are never changed, but replaced: a reader sees a whole one.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

type Record = dict[str, Any]
type Variables = Sequence[Mapping[str, str]]
type Status = Literal["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"]

DETAIL_TYPE = "CodeBuild Build State Change"
DEFAULT_TIMEOUT_MINUTES = 60
DEFAULT_QUEUED_MINUTES = 480


def begun(
    project: Mapping[str, Any],
    request: Mapping[str, Any],
    *,
    arn: str,
    number: int,
    initiator: str,
    now: float,
) -> Record:
    """The record of a build that has just been asked for: the project's, with what the request overrides."""
    name, identity = arn.partition(":build/")[2].split(":")
    source = {**project["source"]}
    if "buildspecOverride" in request:
        source["buildspec"] = request["buildspecOverride"]
    environment = project["environment"]
    return {
        "id": f"{name}:{identity}",
        "arn": arn,
        "buildNumber": number,
        "startTime": _seconds(now),
        "currentPhase": "QUEUED",
        "buildStatus": "IN_PROGRESS",
        "projectName": name,
        "phases": [_closed("SUBMITTED", now, now, "SUCCEEDED", ""), _open("QUEUED", now)],
        "source": source,
        "secondarySources": [],
        "secondarySourceVersions": [],
        "artifacts": {"location": ""},
        "secondaryArtifacts": [],
        "cache": {"type": "NO_CACHE"},
        "environment": {
            **environment,
            "environmentVariables": overridden(
                environment.get("environmentVariables", []), request.get("environmentVariablesOverride", [])
            ),
        },
        "serviceRole": project["serviceRole"],
        "logs": _logs(project, arn, identity),
        "timeoutInMinutes": int(
            request.get("timeoutInMinutesOverride")
            or project.get("timeoutInMinutes")
            or DEFAULT_TIMEOUT_MINUTES
        ),
        "queuedTimeoutInMinutes": int(project.get("queuedTimeoutInMinutes") or DEFAULT_QUEUED_MINUTES),
        "buildComplete": False,
        "initiator": initiator,
        "encryptionKey": project["encryptionKey"],
    }


def overridden(variables: Variables, override: Variables) -> list[dict[str, str]]:
    """The project's variables, with those of the request in the place of theirs, or behind."""
    found = {each["name"]: {"type": "PLAINTEXT", **each} for each in (*variables, *override)}
    return list(found.values())


def entered(record: Record, phase: str, now: float) -> Record:
    """The record in the next phase."""
    return {**record, "currentPhase": phase, "phases": [*record["phases"], _open(phase, now)]}


def left(record: Record, status: Status, now: float, code: str = "", message: str = "") -> Record:
    """The record with its last phase closed. `code` and `message`: what CodeBuild says of a failure."""
    *before, last = record["phases"]
    closed = _closed(last["phaseType"], last["startTime"], now, status, code, message)
    return {**record, "phases": [*before, closed]}


def ended(record: Record, status: Status, now: float) -> Record:
    """The record of a build that is complete."""
    return {
        **record,
        "currentPhase": "COMPLETED",
        "buildStatus": status,
        "buildComplete": True,
        "endTime": _seconds(now),
        "phases": [*record["phases"], _open("COMPLETED", now)],
    }


def state_change(record: Record, now: float) -> dict[str, Any]:
    """The event that tells of the record's status, which for one that is asked for is IN_PROGRESS.

    The four that are documented: a build that timed out or faulted counts as FAILED.
    """
    _, _, _, region, account, _, _ = record["arn"].split(":")
    status = record["buildStatus"]
    complete = record["buildComplete"]
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": DETAIL_TYPE,
        "source": "aws.codebuild",
        "account": account,
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [record["arn"]],
        "detail": {
            "build-status": "FAILED" if status in ("TIMED_OUT", "FAULT") else status,
            "project-name": record["projectName"],
            "build-id": record["arn"],
            "additional-information": _information(record),
            "current-phase": "COMPLETED" if complete else "SUBMITTED",
            "current-phase-context": "[]",
            "version": "1",
        },
    }


def _information(record: Record) -> dict[str, Any]:
    environment, logs, source = record["environment"], record["logs"], record["source"]
    told = {
        "cache": {"type": "NO_CACHE"},
        "build-number": record["buildNumber"],
        "timeout-in-minutes": record["timeoutInMinutes"],
        "build-complete": record["buildComplete"],
        "initiator": record["initiator"],
        "build-start-time": _moment(record["startTime"]),
        "source": {"buildspec": source.get("buildspec", ""), "type": source["type"]},
        "artifact": {"location": ""},
        "environment": {
            "image": environment.get("image", ""),
            "privileged-mode": environment.get("privilegedMode", False),
            "image-pull-credentials-type": environment.get("imagePullCredentialsType", "CODEBUILD"),
            "compute-type": environment.get("computeType", ""),
            "type": environment.get("type", ""),
            "environment-variables": [
                {"name": each["name"], "type": each["type"], "value": each["value"]}
                for each in environment["environmentVariables"]
            ],
        },
        "logs": {"deep-link": logs.get("deepLink", "")},
        "queued-timeout-in-minutes": record["queuedTimeoutInMinutes"],
    }
    if record["buildComplete"]:
        told["logs"] = {
            "group-name": logs.get("groupName"),
            "stream-name": logs.get("streamName"),
            "deep-link": logs.get("deepLink", ""),
        }
        told["phases"] = [_told(phase) for phase in record["phases"]]
    return told


def _told(phase: Mapping[str, Any]) -> dict[str, Any]:
    told = {"phase-type": phase["phaseType"], "start-time": _moment(phase["startTime"])}
    if "endTime" not in phase:
        return told
    return told | {
        "phase-context": [f"{each['statusCode']}: {each['message']}" for each in phase["contexts"]],
        "end-time": _moment(phase["endTime"]),
        "duration-in-seconds": phase["durationInSeconds"],
        "phase-status": phase["phaseStatus"],
    }


def _open(phase: str, now: float) -> dict[str, Any]:
    return {"phaseType": phase, "startTime": _seconds(now)}


def _closed(
    phase: str, start: float, end: float, status: Status, code: str, message: str = ""
) -> dict[str, Any]:
    return {
        "phaseType": phase,
        "phaseStatus": status,
        "startTime": _seconds(start),
        "endTime": _seconds(end),
        "durationInSeconds": int(end - start),
        "contexts": [{"statusCode": code, "message": message}] if code else [],
    }


def _logs(project: Mapping[str, Any], arn: str, identity: str) -> dict[str, Any]:
    _, _, _, region, account, _, _ = arn.split(":")
    config = project.get("logsConfig", {}).get("cloudWatchLogs", {"status": "ENABLED"})
    if config.get("status") != "ENABLED":
        return {"cloudWatchLogs": config}
    group = config.get("groupName") or f"/aws/codebuild/{project['name']}"
    stream = "/".join(filter(None, [config.get("streamName"), identity]))
    return {
        "groupName": group,
        "streamName": stream,
        "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={region}"
        f"#logsV2:log-groups/log-group/{group}/log-events/{stream}",
        "cloudWatchLogsArn": f"arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:{stream}",
        "cloudWatchLogs": config,
    }


def _seconds(moment: float) -> float:
    return round(moment, 3)


def _moment(seconds: float) -> str:
    """As in "Sep 1, 2017 4:12:29 PM"."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%b} {moment.day}, {moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"
