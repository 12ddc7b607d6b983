"""Task tokens as AWS has them, where ministack does otherwise: put right, for the spine.

* What the function of `lambda:invoke.waitForTaskToken` raises fails the task at once, and its Retry and Catch
  apply; ministack waits on ("Wait for a callback with a task token", Step Functions Developer Guide).
* Each attempt has a token of its own. ministack gives a retry the token of the attempt that failed.
* A token is answered once. That of a closed task, answered or timed out, is TaskTimedOut; one that never was
  is InvalidToken (SendTaskSuccess, Step Functions API Reference).
* Who answers needs the permission on the state machine that waits. ministack asks for it on "*", which a
  policy that names the state machine doesn't allow.
"""

from __future__ import annotations

import json
import uuid
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions
from ministack.core.responses import error_response_json
from ministack.services import stepfunctions

if TYPE_CHECKING:
    from collections.abc import Callable

    type Answer = Callable[[dict[str, Any]], Any]

CALLBACK = ".waitForTaskToken"
ANSWERS = ("_send_task_success", "_send_task_failure", "_send_task_heartbeat")
CLOSED = "The task token has either expired or the task associated with the token has already been closed."
UNKNOWN = "Invalid Token: 'Invalid token'"

_machines: dict[str, str] = {}
"""Every token there ever was, and the state machine that gave it away."""
_answering = Lock()
_waiting: ContextVar[str] = ContextVar("token of the task whose function is being invoked", default="")


def install() -> None:
    """Puts it right in ministack."""
    for name in ("_apply_jsonata_arguments", "_apply_parameters"):
        setattr(stepfunctions, name, _with_a_new_token(getattr(stepfunctions, name)))
    for name in ANSWERS:
        setattr(stepfunctions, name, _once(getattr(stepfunctions, name)))
    _fail_with_the_function()
    _ask_for_the_state_machine()


def _with_a_new_token(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Each attempt begins with its arguments, which are what the token goes into."""

    def applied(state: dict[str, Any], given: Any, context: dict[str, Any] | None = None) -> Any:
        if context and CALLBACK in str(state.get("Resource")):
            token = str(uuid.uuid4())
            _machines[token] = context["StateMachine"]["Id"]
            context["Task"] = {"Token": token}
        return apply(state, given, context)

    return applied


def _once(answer: Answer) -> Answer:
    def answered(request: dict[str, Any]) -> Any:
        token = request.get("taskToken", "")
        with _answering:
            task = stepfunctions._task_tokens.get(token)
            if task is not None and not task["event"].is_set():
                return answer(request)
        code, words = ("TaskTimedOut", CLOSED) if token in _machines else ("InvalidToken", UNKNOWN)
        return error_response_json(code, words, 400)

    return answered


def _fail_with_the_function() -> None:
    invoke, call_lambda = stepfunctions._invoke_with_callback, stepfunctions._call_lambda

    def invoke_with_callback(resource: str, given: Any, token: str, state: dict[str, Any]) -> Any:
        marked = _waiting.set(token if ":lambda:" in resource else "")
        try:
            return invoke(resource, given, token, state)
        finally:
            _waiting.reset(marked)

    def call_and_tell(reference: str, event: Any) -> Any:
        try:
            return call_lambda(reference, event)
        except stepfunctions._ExecutionError as failure:
            if token := _waiting.get():
                # ministack drops the error, and waits for an answer: here is one. A function that had
                # answered before it failed has answered.
                said = {"taskToken": token, "error": failure.error, "cause": failure.cause}
                stepfunctions._send_task_failure(said)
            raise

    stepfunctions._invoke_with_callback = invoke_with_callback
    stepfunctions._call_lambda = call_and_tell


def _ask_for_the_state_machine() -> None:
    extract = iam_actions.extract_resource_arn

    def extracted(service: str, method: str, path: str, headers: Any, body: bytes, *place: Any) -> str:
        resource: str = extract(service, method, path, headers, body, *place)
        if service != "states" or resource != "*":
            return resource
        return _machines.get(str(_member(body, "taskToken")), resource)

    iam_actions.extract_resource_arn = extracted


def _member(body: bytes, name: str) -> object:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return None
    return document.get(name) if isinstance(document, dict) else None
