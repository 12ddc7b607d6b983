"""The WSGI application: a request in, CodeArtifact's answer out, its events on their way.

In this order: count, request as the model says, caller, request limit, permissions, the operation itself.
What is refused changes nothing.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local.codeartifact import wire
from local.codeartifact.access import Access
from local.codeartifact.delivery import Courier, DeliverySwitches
from local.codeartifact.doors import PREFIX, Doors
from local.codeartifact.errors import ServiceError
from local.codeartifact.events import EventWriter
from local.codeartifact.limits import RequestLimits
from local.codeartifact.operations import OPERATIONS
from local.codeartifact.registry import Call, Registry
from local.codeartifact.seeding import seed
from local.estate.calls import CallCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.codeartifact.delivery import Bus
    from local.codeartifact.policies import Caller
    from local.identity import IdentitySource

logger = logging.getLogger(__name__)

CREDENTIAL = re.compile(r"Credential=([^/\s]+)/\d+/([^/\s]+)/codeartifact/aws4_request")


def utc_now() -> datetime:
    return datetime.now(UTC)


class CodeArtifact:
    """CodeArtifact in memory. `clock` (seconds, monotonic) and `now` are injected: a test moves time."""

    def __init__(
        self,
        identities: IdentitySource | None = None,
        bus: Bus | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.access = Access(identities, clock=clock)
        self.calls = CallCounts()
        self.limits = RequestLimits(clock)
        self.courier = Courier(bus, clock)
        self._now = now
        self._lock = Lock()
        self._doors = Doors(self)
        self.restore()

    def restore(self) -> None:
        """Nothing is there, and everything is as at the start."""
        with self._lock:
            self._registry = Registry()
            self._writer = EventWriter()
            self.courier.restore()
        self.calls.clear()
        self.limits.restore()
        self.access.forget()

    def switch_delivery(self, switches: DeliverySwitches) -> None:
        """How events are delivered and numbered from now on. Numbers go on rising."""
        with self._lock:
            self.courier.switch(switches)
            self._writer.switch(seed=switches.seed, gaps=switches.gaps)

    def seed(self, document: Any) -> list[dict[str, str]]:
        """Publishes what a seed names, with events. Raises ServiceError."""
        with self._lock:
            try:
                return seed(self._registry, document, self._now())
            finally:
                self._tell()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        at_a_door = request.path.startswith(PREFIX)
        answer = self._doors.answer(request) if at_a_door else self._answer(request)
        self.courier.deliver()
        headers = {"x-amzn-RequestId": str(uuid.uuid4()), **answer.headers}
        return Response(answer.body, answer.status, headers)(environ, start_response)

    def _answer(self, request: Request) -> wire.WireAnswer:
        operation = wire.routes().get((request.method, request.path))
        if operation is None:
            message = f"CodeArtifact has no operation {request.method} {request.path}"
            return wire.write_error(
                ServiceError("UnknownOperationException", message, status=HTTPStatus.NOT_FOUND)
            )
        self.calls.count(f"codeartifact:{operation}")
        try:
            return wire.write(operation, self._serve(operation, request))
        except ServiceError as error:
            return wire.write_error(error)
        except Exception as error:  # the client must hear of it, whatever it is
            logger.exception("%s failed", operation)
            message = f"a bug of the embedded CodeArtifact, in its log too: {error!r}"
            return wire.write_error(ServiceError("InternalServerException", message))

    def _serve(self, operation: str, request: Request) -> dict[str, Any]:
        credential = CREDENTIAL.search(request.headers.get("Authorization", ""))
        if credential is None:
            raise ServiceError(
                "MissingAuthenticationTokenException",
                "The request is not signed for codeartifact",
                status=HTTPStatus.FORBIDDEN,
            )
        if operation not in OPERATIONS:
            message = f"the embedded CodeArtifact doesn't do {operation}"
            raise ServiceError("NotImplemented", message, status=HTTPStatus.NOT_IMPLEMENTED)
        parameters = wire.read(operation, request)
        access_key, region = credential.groups()
        caller = self._caller(operation, access_key)
        self._limit(operation, caller.account, region)
        call = Call(operation, parameters, caller.account, region, self._now())
        with self._lock:
            try:
                self.access.check(call, caller, access_key, self._registry)
            except ServiceError:
                self.calls.count_refused(f"codeartifact:{operation}")
                raise
            try:
                return OPERATIONS[operation](self._registry, call)
            finally:
                self._tell()

    def _caller(self, operation: str, access_key: str) -> Caller:
        try:
            return self.access.caller(access_key)
        except ServiceError:
            self.calls.count_refused(f"codeartifact:{operation}")
            raise

    def _limit(self, operation: str, account: str, region: str) -> None:
        seconds = self.limits.retry_after(operation, account, region)
        if seconds is not None:
            self.calls.count_throttled(f"codeartifact:{operation}")
            raise ServiceError("ThrottlingException", "Rate exceeded", retryAfterSeconds=seconds)

    def _tell(self) -> None:
        """Hands over the events of what has changed, in that order."""
        for change in self._registry.take_changes():
            self.courier.take(self._writer.write(change, self._now()))
