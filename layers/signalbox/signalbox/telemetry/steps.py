"""One step of a domain, as its log lines and its trace show it: by their ids one finds the other.

Annotations are indexed by X-Ray, 50 a trace and no more ("AWS X-Ray endpoints and quotas", AWS General
Reference): hence few names with few values. What has many values goes onto the log lines alone.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_xray_sdk.core import xray_recorder

from signalbox.deployment.probing import answer, is_probe
from signalbox.errors import TransientError
from signalbox.telemetry import logger, tracer

if TYPE_CHECKING:
    from signalbox.ledger.records import Rejection

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

ANNOTATED = frozenset(
    {
        "domain",
        "stage",
        "window",
        "account",
        "region",
        "plan",
        "execution",
        "group",
        "document",
        "bucket",
        "release",
    }
)
"""The ids that are annotations too."""
CORRELATION = ANNOTATED | {
    "action",
    "kind",
    "instance",
    "key",
    "generation",
    "round",
    "tries",
    "package",
    "function_request_id",
}
"""The ids that a log line may carry."""
HARM = frozenset({"failed", "late", "given-up", "stuck"})
"""The outcomes that somebody should look at."""


def step(domain: str, stage: str) -> Callable[[Handler], Handler]:
    """Makes a function of a Lambda function's handler that says who it is in every log line and in its trace.

    A probe (``signalbox.deployment.probing``) is answered in its place.

    Args:
        domain: as in the ledger: ``spot``.
        stage: the name of the step, as the state machine and the template have it: ``PlanWindow``.
    """

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def invoke(event: dict[str, Any], context: Any) -> dict[str, Any]:
            correlate(domain=domain, stage=stage)
            annotate(stack=os.environ.get("SIGNALBOX_STACK", ""))
            try:
                return answer(event) if is_probe(event) else handler(event, context)
            except Exception as error:
                conclude(outcome_of(error))
                logger.exception("the step failed")
                raise

        traced = tracer.capture_lambda_handler(invoke, capture_response=False)
        logged: Handler = logger.inject_lambda_context(traced, clear_state=True)

        @wraps(handler)
        def begin(event: dict[str, Any], context: Any) -> dict[str, Any]:
            # The SDK keeps the segment of the last invocation while the trace is the same: an execution's is.
            xray_recorder.clear_trace_entities()
            return logged(event, context)

        return begin

    return decorate


def correlate(**ids: str) -> None:
    """Puts ids onto every later log line of this invocation, and onto the trace. An empty one is left out."""
    known = {name: value for name, value in ids.items() if value}
    logger.append_keys(**known)
    annotate(**{name: value for name, value in known.items() if name in ANNOTATED})


def correlation() -> dict[str, str]:
    """The ids that log lines carry at this moment, for what is written in another way."""
    keys = logger.get_current_keys() | logger.thread_safe_get_current_keys()
    return {name: str(keys[name]) for name in sorted(CORRELATION) if keys.get(name)}


def annotate(**values: str) -> None:
    """Annotates the innermost open span. An empty value is left out."""
    for name, value in values.items():
        if value:
            tracer.put_annotation(name, value)


def conclude(outcome: str) -> None:
    """Annotates the innermost open span with what it came to, and with ``harm`` where that is bad."""
    annotate(outcome=outcome)
    if outcome in HARM:
        tracer.put_annotation("harm", value=True)


def outcome_of(error: Exception) -> str:
    """What a span came to that an error ended: what may yet go well on another try has its own code."""
    return error.code if isinstance(error, TransientError) else "failed"


@contextmanager
def span(name: str, **ids: str) -> Iterator[None]:
    """A part of a step: a subsegment of its own, and its ids on every log line of its thread meanwhile.

    The ids are names that the step itself does not use: they are gone afterwards.
    """
    known = {key: value for key, value in ids.items() if value}
    with tracer.provider.in_subsegment(name=f"## {name}"):
        logger.thread_safe_append_keys(**known)
        try:
            annotate(**{key: value for key, value in known.items() if key in ANNOTATED})
            yield
        finally:
            logger.thread_safe_remove_keys(known)


def log_refusals(rejections: "Sequence[Rejection]", errors: Sequence[str]) -> None:
    """Of a batch that was taken in: what was bad input, and why messages go back to the queue."""
    for rejection in rejections:
        logger.warning(
            "event rejected",
            extra={
                "code": rejection.code,
                "where": rejection.where,
                "what": rejection.what,
                "message_id": rejection.id,
            },
        )
    for error in errors:
        logger.error("messages returned to the queue", extra={"error": error})
