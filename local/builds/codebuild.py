"""Has ministack's CodeBuild run its builds here, and ask and answer as AWS does.

ministack keeps projects and answers, but runs a build in Docker or not at all. Here StartBuild and StopBuild
are ours; a build has the credentials of its project's service role, so that IAM holds for what it does. The
events go to the default bus.
"""

from __future__ import annotations

import contextvars
import json
import os
import secrets
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response
from ministack.services import codebuild, iam, sts

from local import workers
from local.builds import buildspec, image, projects, targets
from local.builds.building import Build, PhaseError
from local.builds.records import begun, state_change
from local.builds.tokens import MismatchError, Tokens
from local.builds.turns import Turns
from local.service_roles import denial
from local.settings import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local.builds.records import Record

    type Event = dict[str, Any]
    type Request = dict[str, Any]

UNDERSTOOD = {
    "projectName",
    "buildspecOverride",
    "environmentVariablesOverride",
    "idempotencyToken",
    "timeoutInMinutesOverride",
}
"""Of StartBuild."""
SERVICE = "codebuild.amazonaws.com"
# A build has a key of its own, and sends no traces.
NOT_INHERITED = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_XRAY_DAEMON_ADDRESS")


class InputError(ValueError):
    """A request that CodeBuild refuses with InvalidInputException, or that isn't understood here."""


class Builds:
    """Every build of the spine. `tell` puts an event on the default bus that it is for."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._scratch = Path()
        self._tell = tell
        self._lock = threading.Lock()
        self._live: dict[str, Build] = {}
        self._tokens = Tokens()
        self._duplicated = False
        self.turns = Turns(workers.MOST)

    def install(self, scratch: Path) -> None:
        """Puts this into ministack. `scratch` is for the builds' files, and has the image."""
        self._scratch = scratch
        codebuild._start_build = self.start
        codebuild._stop_build = self.stop
        projects.install()
        targets.install(self.start)

    def start(self, request: Request) -> Any:
        """StartBuild."""
        name = str(request.get("projectName", ""))
        project = codebuild._projects.get(name)
        if project is None:
            words = f"Project cannot be found: arn:aws:codebuild:{_place()}:project/{name}"
            return error_response_json("ResourceNotFoundException", words, 400)
        try:
            with self._lock:
                record = self._start_once(project, request)
        except (InputError, MismatchError) as error:
            return error_response_json("InvalidInputException", str(error), 400)
        return json_response({"build": record})

    def stop(self, request: Request) -> Any:
        """StopBuild."""
        identity = request.get("id", "").rpartition(":build/")[2]
        if identity not in codebuild._builds:
            return error_response_json("ResourceNotFoundException", f"Build {identity} cannot be found", 400)
        if build := self._live.get(codebuild._builds[identity]["arn"]):
            build.stop()
        return json_response({"build": codebuild._builds[identity]})

    def document(self) -> dict[str, object]:
        return {"duplicated": self._duplicated, **self.turns.document()}

    def switch(self, document: Mapping[str, Any]) -> None:
        """`hold`: builds that are started wait for their release; `duplicated`: each event comes twice.

        Raises ValueError for another switch.
        """
        if unknown := document.keys() - {"hold", "duplicated"}:
            raise ValueError(f"there are hold and duplicated, not {', '.join(sorted(unknown))}")
        if "duplicated" in document:
            self._duplicated = bool(document["duplicated"])
        if "hold" in document:
            self.turns.hold(on=bool(document["hold"]))

    def end(self) -> None:
        """Kills the processes of all that run."""
        for build in list(self._live.values()):
            build.kill()

    def save(self, record: Record) -> None:
        codebuild._builds[record["id"]] = record

    def tell(self, record: Record) -> None:
        event = state_change(record, time.time())
        for _ in range(2 if self._duplicated else 1):
            self._tell(event)

    def provision(self, record: Record) -> Mapping[str, str]:
        _ask_for_logs(record)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in ("LANG", "LC_ALL", "NO_PROXY", "USER")
            or (name.startswith("AWS_") and name not in NOT_INHERITED)
        }
        return {
            **inherited,
            **_credentials(record),
            "AWS_ENDPOINT_URL": f"http://{os.environ['MINISTACK_HOST']}:{os.environ['GATEWAY_PORT']}",
            "AWS_DEFAULT_REGION": get_region(),
            "AWS_REGION": get_region(),
            "CODEBUILD_BUILD_ARN": record["arn"],
            "CODEBUILD_BUILD_ID": record["id"],
            "CODEBUILD_BUILD_IMAGE": record["environment"].get("image", ""),
            "CODEBUILD_BUILD_NUMBER": str(record["buildNumber"]),
            "CODEBUILD_INITIATOR": record["initiator"],
            "CODEBUILD_KMS_KEY_ID": record["encryptionKey"],
            "CODEBUILD_LOG_PATH": record["logs"].get("streamName", ""),
            "CODEBUILD_START_TIME": str(int(record["startTime"] * 1000)),
            "PATH": image.path(self._scratch / image.FOLDER, os.environ.get("PATH", os.defpath)),
        }

    def write(self, record: Record, lines: Sequence[str]) -> None:
        if lines and "groupName" in record["logs"]:
            emit = codebuild._log_sink(record)
            for line in lines:
                emit(line)

    def _start_once(self, project: Mapping[str, Any], request: Request) -> Record:
        token = request.get("idempotencyToken")
        if not token:
            return self._begin(project, request)
        key = (get_account_id(), get_region(), project["name"], token)
        if before := self._tokens.begun(key, request):
            return dict(codebuild._builds[before])
        record = self._begin(project, request)
        self._tokens.keep(key, request, record["id"])
        return record

    def _begin(self, project: Mapping[str, Any], request: Request) -> Record:
        _check(project, request)
        spec = _spec(project, request)
        name = project["name"]
        builds = [b for b in codebuild._builds.values() if b["projectName"] == name]
        record = begun(
            project,
            request,
            arn=f"arn:aws:codebuild:{_place()}:build/{name}:{uuid.uuid4()}",
            number=len(builds) + 1,
            initiator=_initiator(),
            now=time.time(),
        )
        self.save(record)
        build = Build(
            record, spec, self, self.turns, self._scratch / "builds" / record["id"].replace(":", "-")
        )
        self._live[record["arn"]] = build
        self.turns.join(record["id"])
        # ministack keeps what it has by account and Region, which it takes from the context.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run, build), daemon=True, name=record["id"]).start()
        return record

    def _run(self, build: Build) -> None:
        try:
            build.run()
        finally:
            del self._live[build.record["arn"]]
            sts._sessions.pop(_access_key(build.record), None)


def _place() -> str:
    return f"{get_region()}:{get_account_id()}"


def _check(project: Mapping[str, Any], request: Request) -> None:
    """Raises InputError for what AWS refuses, or can't be done here."""
    if unknown := request.keys() - UNDERSTOOD:
        raise InputError(f"the embedded CodeBuild doesn't understand {', '.join(sorted(unknown))}")
    source = project["source"].get("type")
    if source != "NO_SOURCE":
        raise InputError(f"the embedded CodeBuild fetches no source: it is {source}, not NO_SOURCE")
    given = project["environment"].get("environmentVariables", [])
    for variable in (*given, *request.get("environmentVariablesOverride", [])):
        kind = variable.get("type", "PLAINTEXT")
        if kind != "PLAINTEXT":
            raise InputError(f"the embedded CodeBuild knows no {kind}: make {variable['name']} PLAINTEXT")
    if ministack.AUTH and not _assumable(project["serviceRole"]):
        raise InputError(
            "CodeBuild is not authorized to perform: sts:AssumeRole on service role "
            f"{project['serviceRole']}. Does it exist, and does it trust {SERVICE}?"
        )


def _spec(project: Mapping[str, Any], request: Request) -> buildspec.Buildspec:
    text = request.get("buildspecOverride") or project["source"].get("buildspec") or ""
    try:
        return buildspec.parse(text)
    except buildspec.BuildspecError as error:
        raise InputError(f"{error} (project {project['name']})") from error


def _assumable(role_arn: str) -> bool:
    """Whether there is such a role, and it trusts CodeBuild, under whatever conditions."""
    role = iam._roles.get(role_arn.rpartition("/")[2])
    trust = (role or {}).get("AssumeRolePolicyDocument") or "{}"
    statements = (json.loads(trust) if isinstance(trust, str) else trust).get("Statement", [])
    return any(
        statement["Effect"] == "Allow"
        and iam_evaluator._service_principal_matches(statement.get("Principal"), SERVICE)
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _initiator() -> str:
    """A role and its session, a user or a rule, as CodeBuild names who started a build."""
    kind, _, name = str(iam_evaluator.caller_arn()).rpartition(":")[2].partition("/")
    return f"rule/{name}" if kind == "rule" else name or kind


def _credentials(record: Record) -> dict[str, str]:
    """A session of the service role; without enforcement the account's root."""
    if not ministack.AUTH:
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    role, session = record["serviceRole"].rpartition("/")[2], f"AWSCodeBuild-{record['id'].split(':')[1]}"
    key, secret, token = _access_key(record), secrets.token_hex(20), secrets.token_hex(32)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{record['serviceRole'].split(':')[4]}:assumed-role/{role}/{session}",
            "UserId": f"{role}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def _access_key(record: Record) -> str:
    return f"ASIA{record['id'].split(':')[1].replace('-', '')[:16].upper()}"


def _ask_for_logs(record: Record) -> None:
    """The service role makes the log ("Allow CodeBuild to interact with other services", User Guide)."""
    logs = record["logs"]
    if not ministack.AUTH or "groupName" not in logs:
        return
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if refusal := denial(record["serviceRole"], action, logs["cloudWatchLogsArn"]):
            raise PhaseError("FAILED", "ACCESS_DENIED", f"no log for {record['arn']}: {refusal}")
