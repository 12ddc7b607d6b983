"""In the place of the X-Ray daemon: what it keeps, and what it hangs below whom."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from ministack.services import lambda_svc, stepfunctions

from local import propagation
from local.segments import Collector
from local.traces import Traces

HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
HEAD = b'{"format":"json","version":1}\n'
DOCUMENT = {"name": "## lambda_handler", "id": "a", "trace_id": "1-0-0", "start_time": 1.0}
CONFIG = {"FunctionName": "f", "FunctionArn": "arn:f", "TracingConfig": {"Mode": "Active"}}

type Send = Callable[[bytes], None]


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def send(collector: Collector) -> Send:
    """Sends datagrams as an SDK does, and waits for the last."""
    host, port = collector.listen().split(":")
    sent = []

    def send(datagram: bytes) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, (host, int(port)))
        sent.append(datagram)
        give_up_at = time.monotonic() + 5
        while sum(len(each) for each in collector.contents()) < len(sent):
            assert time.monotonic() < give_up_at

    return send


def test_what_is_sent_is_kept_beside_what_is_handed_over(collector: Collector, send: Send) -> None:
    send(HEAD + json.dumps(DOCUMENT).encode())
    collector.take({**DOCUMENT, "id": "b"})
    segments, refusals = collector.contents()
    assert [segment["id"] for segment in segments] == ["a", "b"]
    assert refusals == []


def test_what_is_no_segment_is_refused_and_loses_no_other(collector: Collector, send: Send) -> None:
    send(b"hello")
    send(HEAD + json.dumps(DOCUMENT).encode())
    segments, [refusal] = collector.contents()
    assert [segment["id"] for segment in segments] == ["a"]
    assert "Expecting value" in refusal


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the services send; the function itself answers with the header that it was given."""

    def execute(func: dict[str, Any], *_: object) -> dict[str, Any]:
        return {"body": lambda_svc._xray_trace_id_for_invocation(func)}

    monkeypatch.setattr(lambda_svc, "_execute_function_warm", execute)
    for module, name in (
        (lambda_svc, "_xray_trace_id_for_invocation"),
        (stepfunctions, "_run_execution"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back in the end
    found: list[dict[str, Any]] = []
    propagation.install(found.append)
    return found


def invoke(config: dict[str, Any] = CONFIG) -> Any:
    return lambda_svc._execute_function_warm(config, {}, "request-1")["body"]


def test_an_invocation_goes_on_with_its_callers_trace(sent: list[dict[str, Any]]) -> None:
    propagation.inherit([(b"x-amzn-trace-id", HEADER.encode())])
    given = propagation.parse_header(invoke())
    [segment] = sent
    assert (segment["trace_id"], segment["parent_id"]) == (given["Root"], "53995c3f42cd8ad8")
    assert given == {"Root": "1-5759e988-bd862e3fe1be46a994272793", "Parent": segment["id"], "Sampled": "1"}


def test_an_invocation_that_nobody_traced_begins_a_trace(sent: list[dict[str, Any]]) -> None:
    propagation.inherit([])
    first, second = propagation.parse_header(invoke()), propagation.parse_header(invoke())
    assert first["Root"] != second["Root"]
    assert all("parent_id" not in segment for segment in sent)
    assert [root.service for root in Traces(sent).roots(first["Root"])] == ["f"]


def test_the_callers_decision_not_to_sample_is_kept(sent: list[dict[str, Any]]) -> None:
    propagation.inherit([(b"x-amzn-trace-id", HEADER.replace("Sampled=1", "Sampled=0").encode())])
    assert propagation.parse_header(invoke())["Sampled"] == "0"
    assert sent == []


def test_a_function_without_tracing_sends_nothing_of_its_own(sent: list[dict[str, Any]]) -> None:
    propagation.inherit([(b"x-amzn-trace-id", HEADER.encode())])
    assert invoke({**CONFIG, "TracingConfig": {"Mode": "PassThrough"}}) == HEADER
    assert sent == []
