"""The guard: WSGI middleware that lets a request through to moto only if AWS would have taken it.

In this order: count, credentials and policy, ordered faults, request limits, caps, then moto (amended, see
semantics). What is refused has no effect on the estate.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

from local.estate.buckets import RequestLimits
from local.estate.calls import CallCounts
from local.estate.caps import cap_error
from local.estate.control import PREFIX, Control
from local.estate.errors import Answer, AwsError, render, throttled
from local.estate.faults import FaultKind, Faults
from local.estate.requests import recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.estate.authorization import Authorization
    from local.estate.buckets import Clock
    from local.estate.errors import Headers
    from local.estate.faults import Fault
    from local.estate.requests import AwsRequest, Environ

type StartResponse = Callable[..., Any]
type Application = Callable[[Environ, StartResponse], Iterable[bytes]]

logger = logging.getLogger(__name__)


class Guard:
    """WSGI application in front of moto's.

    `authorization` None lets every caller do everything. `clock` (seconds, monotonic) and `sleep` are
    injected so that a test can move time.
    """

    def __init__(
        self,
        moto: Application,
        authorization: Authorization | None = None,
        *,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._moto = moto
        self._authorization = authorization
        self._sleep = sleep
        self._calls = CallCounts()
        self._faults = Faults()
        self._limits = RequestLimits(clock)
        self._control = Control(self._calls, self._faults, self._limits, authorization)
        # moto isn't safe for mutations that race, and a detach touches three of its services. One lock costs
        # nothing: moto's work is all computation, which the interpreter serialises anyway.
        self._estate_lock = Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._answer(environ)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _answer(self, environ: Environ) -> Answer:
        if environ["PATH_INFO"].startswith(PREFIX):
            return self._control.answer(environ)
        request = recognise(environ)
        if request is None:
            return self._unsigned(environ)
        self._calls.count(request.name)
        try:
            return self._serve(request, environ)
        except AwsError as error:
            return render(error, request.protocol)
        except NotImplementedError as error:
            logger.warning("%s: %s", request.name, error)
            return render(_not_implemented(request, error), request.protocol)
        except Exception:  # the client must hear of it, whatever moto stumbled over
            logger.exception("%s failed in moto", request.name)
            return render(_moto_failure(request), request.protocol)

    def _unsigned(self, environ: Environ) -> Answer:
        if environ["PATH_INFO"].startswith("/moto-api"):
            return self._ask_moto(environ)
        error = AwsError(
            "MissingAuthenticationToken", "Request is missing Authentication Token", HTTPStatus.FORBIDDEN
        )
        return render(error, "query")

    def _serve(self, request: AwsRequest, environ: Environ) -> Answer:
        request = self._authorize(request)
        fault = self._meet_fault(request)
        if not self._limits.admits(request):
            self._throttle(request)
        if error := cap_error(request):
            self._calls.count_refused(request.name)
            raise error
        # The account that moto works in: it knows no sessions of the spine's.
        answer = self._ask_moto(environ | {"HTTP_X_MOTO_ACCOUNT_ID": request.account})
        if fault and fault.fault is FaultKind.LOST_ANSWER and answer.succeeded:
            raise fault.error_for(request)
        return answer

    def _authorize(self, request: AwsRequest) -> AwsRequest:
        if self._authorization is None:
            return request
        try:
            return self._authorization.check(request)
        except AwsError as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._calls.count_refused(request.name)
            raise

    def _meet_fault(self, request: AwsRequest) -> Fault | None:
        fault = self._faults.take(request)
        if fault is None:
            return None
        match fault.fault:
            case FaultKind.LATENCY:
                self._sleep(fault.seconds)
            case FaultKind.THROTTLE:
                self._throttle(request)
            case FaultKind.ERROR:
                raise fault.error_for(request)
        return fault

    def _throttle(self, request: AwsRequest) -> None:
        self._calls.count_throttled(request.name)
        raise throttled(request.service)

    def _ask_moto(self, environ: Environ) -> Answer:
        status, headers = "500 Internal Server Error", list[tuple[str, str]]()

        def start_response(given: str, given_headers: Headers, _error: object = None) -> None:
            nonlocal status, headers
            status, headers = given, given_headers

        with self._estate_lock:
            body = b"".join(self._moto(environ, start_response))
        return Answer(status, headers, body)


def _not_implemented(request: AwsRequest, reason: NotImplementedError) -> AwsError:
    # Not a 500: the SDK would try it again.
    message = f"the embedded estate doesn't do {request.name}, or not like this: {reason}"
    return AwsError("NotImplemented", message, HTTPStatus.NOT_IMPLEMENTED)


def _moto_failure(request: AwsRequest) -> AwsError:
    return AwsError(
        "InternalFailure",
        f"the embedded estate failed to do {request.name}: its log has the trace",
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )
