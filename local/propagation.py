"""Where AWS carries a trace on and ministack drops it: put back into ministack, for the spine.

Three things, as AWS documents them:

* Whoever is called takes the caller's trace from the HTTP header `X-Amzn-Trace-Id` ("Tracing header", X-Ray
  Developer Guide). StartExecution prefers it to its own parameter `traceHeader`, which is not read here.
* Step Functions sends a segment for an execution and passes its trace to the functions it invokes
  ("Trace Step Functions request data in AWS X-Ray", Step Functions Developer Guide).
* Lambda sends a segment for an invocation; what the function's own SDK sends hangs below it ("Visualize
  Lambda function invocations using AWS X-Ray", Lambda Developer Guide).

The segments of the two services are simpler than AWS's: one each, without those of their phases and states.
EventBridge and SQS get nothing: AWS starts no trace for an event of its own ("Amazon EventBridge integration
with AWS X-Ray", EventBridge User Guide).
"""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc, stepfunctions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    type Document = dict[str, Any]

HEADER = b"x-amzn-trace-id"
MACHINE = "AWS::StepFunctions::StateMachine"
FUNCTION = "AWS::Lambda::Function"

_inherited: ContextVar[str | None] = ContextVar("trace header of the caller", default=None)
"""Copied, with the rest of its context, into each thread that ministack starts for a request."""


def inherit(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Takes a request's trace header, or its lack of one, as the caller's. Every request is a context."""
    _inherited.set(next((value.decode() for name, value in headers if name == HEADER), None))


def install(send: Callable[[Document], None]) -> None:
    """Makes ministack carry traces on. `send` gets the segments of Lambda and of Step Functions."""
    run_execution, execute = stepfunctions._run_execution, lambda_svc._execute_function_warm

    def traced_execution(arn: str) -> None:
        machine = arn.split(":")[6]
        about = {"origin": MACHINE, "aws": {"execution_arn": arn, "operation": "StartExecution"}}
        with _segment(machine, send, about) as document:
            run_execution(arn)
            if stepfunctions._executions[arn]["status"] == "FAILED":
                document["fault"] = True

    def traced_function(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = func.get("config") or func
        if (config.get("TracingConfig") or {}).get("Mode") != "Active":
            return dict(execute(func, event, request_id))
        about = {"origin": FUNCTION, "aws": {"request_id": request_id, "function_arn": config["FunctionArn"]}}
        with _segment(config["FunctionName"], send, about) as document:
            result = dict(execute(func, event, request_id))
            if result.get("error"):
                document["fault"] = True
            return result

    def header(_: dict[str, Any], inbound: str | None = None) -> str | None:
        return inbound or _inherited.get()

    stepfunctions._run_execution = traced_execution
    lambda_svc._execute_function_warm = traced_function
    lambda_svc._xray_trace_id_for_invocation = header


@contextmanager
def _segment(name: str, send: Callable[[Document], None], about: Document) -> Iterator[Document]:
    """A segment below the caller's, or the root of a new trace; what is called meanwhile goes below it."""
    caller = parse_header(_inherited.get() or "")
    document = {
        "name": name,
        "id": secrets.token_hex(8),
        "trace_id": caller.get("Root") or f"1-{int(time.time()):08x}-{secrets.token_hex(12)}",
        "start_time": time.time(),
        **({"parent_id": caller["Parent"]} if "Parent" in caller else {}),
        **about,
    }
    sampled = caller.get("Sampled", "1")
    token = _inherited.set(f"Root={document['trace_id']};Parent={document['id']};Sampled={sampled}")
    try:
        yield document
    finally:
        _inherited.reset(token)
        if sampled != "0":
            send({**document, "end_time": time.time()})


def parse_header(text: str) -> dict[str, str]:
    """`Root=1-…;Parent=…;Sampled=1` as its parts."""
    return {key: value for key, _, value in (part.partition("=") for part in text.split(";")) if value}
