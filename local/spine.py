"""The spine: ministack served on the loopback, with the doors this project needs.

    GET  /_signalbox/health
    GET  /_signalbox/principal?access_key=ASIA…   whose session an access key is (the guard asks)
    POST /_signalbox/events                       an event, or a list, put on the default bus as it stands
        ?bus=signalbox-local                      … on another bus
        ?account=444455556666&region=eu-west-1    … on a bus of another account or region
    GET  /_signalbox/segments                     the newest segments of traces, by functions and services
    GET  /_signalbox/builds                       the builds of CodeBuild that are held, queued or running
    POST /_signalbox/builds                       {"hold": true}: those to come wait; {"duplicated": true}
    POST /_signalbox/builds/release               lets all go that are held, or that of {"id": "…"}

PutEvents refuses `aws.*` sources, as AWS does, and writes its own id, time and account. The second door is
how an event of AWS's own arrives here: unchanged, whatever its source. Both are refused off the loopback.

The environment (see local.embedded.spine_environment) must be set before this module is imported: ministack
reads it at import.

Whom ministack takes a session for, and what a batch's call needs, is put right: see `role_arns_as_principals`
and `batches_as_single_actions`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Never, Self
from urllib.parse import parse_qs

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import eventbridge, sts

from local import propagation, service_roles, task_tokens, undelivered, workers
from local.builds.codebuild import Builds
from local.segments import Collector
from local.settings import HOST

type Scope = dict[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]

PREFIX = "/_signalbox/"
DEFAULT_BUS = "default"
LOOPBACK = {"127.0.0.1", "::1"}
LARGEST_BODY = 64 * 2**20

logger = logging.getLogger("signalbox.spine")
segments = Collector()


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer of one of the doors."""

    status: HTTPStatus
    body: object


@dataclass(frozen=True, slots=True)
class Bus:
    """An event bus, by its name."""

    name: str
    account: str
    region: str

    @classmethod
    def of(cls, query: dict[str, list[str]]) -> Self:
        """The bus that a request names; as far as it does not, the default bus of this account and region."""
        usual = {"bus": DEFAULT_BUS, "account": get_account_id(), "region": get_region()}
        return cls(*(query.get(name, [value])[0] for name, value in usual.items()))


class RefusedError(Exception):
    """A request a door can't serve; its text says why."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application: our doors under /_signalbox/, ministack everywhere else."""
    if scope["type"] == "http" and scope["path"].startswith(PREFIX):
        await _answer(scope, receive, send)
    else:
        propagation.inherit(scope.get("headers", ()))
        await ministack.app(_as_tls(scope), receive, send)


def _as_tls(scope: Scope) -> Scope:
    """The loopback counts as TLS: the template's policies refuse plain text, as they should on AWS."""
    if scope["type"] != "http":
        return scope
    return {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        answer = await _route(scope, receive)
    except RefusedError as refused:
        answer = Answer(refused.status, {"message": str(refused)})
    body = json.dumps(answer.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _route(scope: Scope, receive: Receive) -> Answer:
    client = scope.get("client")
    if client is None or client[0] not in LOOPBACK:
        raise RefusedError(HTTPStatus.FORBIDDEN, "this door opens on the loopback only")
    door = DOORS.get((scope["method"], scope["path"].removeprefix(PREFIX)))
    if door is None:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"no such door: {scope['method']} {scope['path']}")
    return Answer(HTTPStatus.OK, door(parse_qs(scope["query_string"].decode()), await _body(receive)))


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {LARGEST_BODY} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def principal(query: dict[str, list[str]]) -> dict[str, str]:
    """The assumed role behind `access_key`: its session ARN, role ARN and account.

    Raises RefusedError 404 for a key that is no session's.
    """
    key = next(iter(query.get("access_key", [])), "")
    arn = str((sts._sessions.get(key) or {}).get("Arn", ""))
    role_arn = role_of(arn)
    if role_arn is None:
        raise RefusedError(HTTPStatus.NOT_FOUND, f"{key!r} is the access key of no assumed role here")
    return {"arn": arn, "role_arn": role_arn, "account": arn.split(":")[4]}


def role_of(arn: str) -> str | None:
    """The role in `arn:aws:sts::<account>:assumed-role/<role>/<session>`; None for another kind of ARN."""
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return None
    return f"arn:aws:iam::{arn.split(':')[4]}:role/{rest.split('/')[0]}"


def role_arns_as_principals() -> None:
    """Has aws:PrincipalArn be the role's ARN for a session, as on AWS.

    ("AWS global condition context keys", IAM User Guide.) ministack takes the session's own ARN, which the
    members' trust policy doesn't let in.
    """
    resolve = iam_evaluator._resolve_condition_key

    def resolved(key: str, context: Any) -> Any:
        value = resolve(key, context)
        return role_of(value) or value if key.lower() == "aws:principalarn" else value

    iam_evaluator._resolve_condition_key = resolved


def batches_as_single_actions() -> None:
    """Has a call of SQS for several messages need the permission for one, as on AWS.

    ("Actions, resources, and condition keys for Amazon SQS", Service Authorization Reference.)
    """
    extract = iam_actions.extract_iam_action

    def extracted(service: str, *request: Any) -> str | None:
        action: str | None = extract(service, *request)
        return action.removesuffix("Batch") if action and service == "sqs" else action

    iam_actions.extract_iam_action = extracted


def parse_events(body: bytes) -> list[dict[str, Any]]:
    """The events of a request: one JSON object, or a list. What is in them is the receiver's affair."""
    document = _parsed(body)
    events = document if isinstance(document, list) else [document]
    for position, event in enumerate(events):
        if not isinstance(event, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"event {position} is no JSON object")
    return events


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a request; an empty one where there is none."""
    document = _parsed(body or b"{}")
    if not isinstance(document, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is no JSON object")
    return document


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error


def deliver(events: list[dict[str, Any]], bus: Bus) -> list[dict[str, Any]]:
    """Puts events on a bus, wherever they say they come from; says which rules each one matched.

    Raises RefusedError 404 for a bus that isn't there.
    """
    with request_scope(bus.account, bus.region):
        if bus.name not in {DEFAULT_BUS, *eventbridge._event_buses}:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no such event bus: {bus}")
        return [{"id": event.get("id"), "rules": _deliver(event, bus.name)} for event in events]


def _deliver(event: dict[str, Any], bus: str) -> list[str]:
    view = eventbridge._EventView(
        {key: value for key, value in event.items() if key != "detail"}, json.dumps(event.get("detail"))
    )
    rules = [rule["Name"] for name, rule in eventbridge._rules.items() if _matches(name, rule, view, bus)]
    eventbridge._dispatch_event({"EventBusName": bus, "EventId": event.get("id")}, view)
    return rules


def _matches(name: str, rule: dict[str, Any], view: object, bus: str) -> bool:
    return (
        rule.get("EventBusName", DEFAULT_BUS) == bus
        and rule.get("State") == "ENABLED"
        and bool(rule.get("EventPattern"))
        and eventbridge._matches_pattern_view(rule["EventPattern"], view, name)
    )


def tell(event: dict[str, Any]) -> None:
    """Puts an event of a service on the default bus of its account and Region."""
    deliver([event], Bus(DEFAULT_BUS, event["account"], event["region"]))


builds = Builds(tell)


def switch_builds(body: bytes) -> dict[str, object]:
    """Raises RefusedError 400 for a switch that isn't there."""
    try:
        builds.switch(parse_object(body))
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
    return builds.document()


def release_builds(body: bytes) -> dict[str, object]:
    """Raises RefusedError 404 for a build that isn't held."""
    try:
        return {"released": builds.turns.release(parse_object(body).get("id"))}
    except LookupError as error:
        raise RefusedError(HTTPStatus.NOT_FOUND, str(error)) from error


DOORS: dict[tuple[str, str], Callable[[dict[str, list[str]], bytes], object]] = {
    ("GET", "health"): lambda _query, _body: {"status": "ok", "auth": ministack.AUTH},
    ("GET", "principal"): lambda query, _body: principal(query),
    ("POST", "events"): lambda query, body: {"events": deliver(parse_events(body), Bus.of(query))},
    ("GET", "segments"): lambda _query, _body: dict(
        zip(("segments", "refused"), segments.contents(), strict=True)
    ),
    ("GET", "builds"): lambda _query, _body: builds.document(),
    ("POST", "builds"): lambda _query, body: switch_builds(body),
    ("POST", "builds/release"): lambda _query, body: release_builds(body),
}
"""What answers a door, from the query and the body."""


async def _serve(port: int, scratch: Path) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    server = serve(application, config, shutdown_trigger=told.wait)  # type: ignore[arg-type] # messages as TypedDicts
    serving = asyncio.create_task(server)
    await asyncio.wait([serving, asyncio.create_task(told.wait())], return_when=asyncio.FIRST_COMPLETED)
    _leave(scratch, failure=serving.exception() if serving.done() else None)


def _leave(scratch: Path, failure: BaseException | None) -> Never:
    """Ends the workers and this process at once.

    Going back through asyncio.run would wait for open connections, and for ministack's pollers and
    executions, which are threads with no wish to end. There is no state to save.
    """
    if failure:
        logger.error("the spine failed", exc_info=failure)
    builds.end()
    lambda_runtime.reset()
    shutil.rmtree(scratch, ignore_errors=True)
    logging.shutdown()
    os._exit(1 if failure else 0)


def _raise_open_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m local.spine", description="Serve the spine on the loopback."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--scratch", type=Path, required=True, help="folder of the workers' code; removed at the end"
    )
    options = parser.parse_args()
    _raise_open_file_limit()
    role_arns_as_principals()
    batches_as_single_actions()
    # Functions inherit it, and send the segments of their traces there.
    os.environ["AWS_XRAY_DAEMON_ADDRESS"] = segments.listen()
    propagation.install(segments.take)
    undelivered.install()
    service_roles.install()
    task_tokens.install()
    workers.install()
    builds.install(options.scratch)
    asyncio.run(_serve(options.port, options.scratch))


if __name__ == "__main__":
    main()
