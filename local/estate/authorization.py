"""Holds calls to the role of their caller, as IAM does."""

from __future__ import annotations

import time
from dataclasses import replace
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from local.estate.errors import AwsError
from local.estate.resources import objects_read_by, resources_of
from local.estate.stored import OUT_OF_REACH
from local.identity import ROOT_OF_ACCOUNT
from local.settings import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.estate.buckets import Clock
    from local.estate.requests import AwsRequest
    from local.estate.resources import Resource
    from local.identity import IdentitySource, Principal

CACHE_SECONDS = 2.0


class Authorization:
    """Refuses what the caller's role doesn't allow.

    What the source says is remembered for CACHE_SECONDS, so that a burst of calls asks once.
    """

    def __init__(self, source: IdentitySource, *, clock: Clock = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._lock = Lock()
        self._remembered: dict[tuple[str, str], tuple[float, object]] = {}

    def forget(self) -> None:
        """Asks the source again from now on."""
        with self._lock:
            self._remembered.clear()

    def check(self, request: AwsRequest) -> AwsRequest:
        """The request in its caller's account.

        Raises AwsError, in the words of the service, for a key that is unknown or a call not allowed.
        """
        if request.access_key == ACCESS_KEY or ROOT_OF_ACCOUNT.fullmatch(request.access_key):
            return request
        principal = self._recall(
            ("principal", request.access_key), lambda: self._source.principal(request.access_key)
        )
        if principal is None:
            raise unknown_key(request)
        policies = self._recall(
            ("policies", principal.role_arn),
            lambda: [parse_policy_document(document) for document in self._source.policies(principal)],
        )
        request = replace(request, account=principal.account)
        for resource in resources_of(request):
            decision = evaluate(_context(request, principal, resource), policies).decision
            if decision != "Allow":
                raise denied(request, principal, resource.arn, explicitly=decision == "Deny")
        for action, resource in objects_read_by(request):
            if evaluate(_context(request, principal, resource, action), policies).decision != "Allow":
                raise AwsError("InvalidS3ObjectException", OUT_OF_REACH)
        return request

    def _recall[T](self, key: tuple[str, str], ask: Callable[[], T]) -> T:
        now = self._clock()
        with self._lock:
            at, answer = self._remembered.get(key, (None, None))
        if at is not None and now - at < CACHE_SECONDS:
            return answer  # type: ignore[return-value]  # a key's answers are all of one type: see check
        answer = ask()
        with self._lock:
            self._remembered[key] = (now, answer)
        return answer


def _context(
    request: AwsRequest, principal: Principal, resource: Resource, action: str | None = None
) -> EvalContext:
    return EvalContext(
        principal_arn=principal.arn,
        principal_type="AssumedRole",
        principal_account=principal.account,
        action=action or request.name,
        resource_arn=resource.arn,
        region=request.region,
        # The evaluator looks keys up in lower case.
        service_context={key.lower(): value for key, value in resource.condition_keys().items()},
    )


def unknown_key(request: AwsRequest) -> AwsError:
    """What a service says to an access key nobody has."""
    match request.protocol:
        case "ec2":
            return AwsError(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials",
                HTTPStatus.UNAUTHORIZED,
            )
        case "query":
            return AwsError(
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                HTTPStatus.FORBIDDEN,
            )
        case "json":
            return AwsError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )


def denied(request: AwsRequest, principal: Principal, resource: str, *, explicitly: bool) -> AwsError:
    """What a service says to a call its caller's role doesn't allow: who, which action, on what, and why."""
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicitly
        else f"because no identity-based policy allows the {request.name} action"
    )
    message = (
        f"User: {principal.arn} is not authorized to perform: {request.name} on resource: {resource} {reason}"
    )
    match request.protocol:
        case "ec2":
            text = f"You are not authorized to perform this operation. {message}"
            return AwsError("UnauthorizedOperation", text, HTTPStatus.FORBIDDEN)
        case "query":
            return AwsError("AccessDenied", message, HTTPStatus.FORBIDDEN)
        case "json":
            return AwsError("AccessDeniedException", message)
