"""Traces, rebuilt from segments as the X-Ray daemon's protocol carries them."""

import json
from typing import Any

import pytest

from local.segments import parse_datagram
from local.traces import Traces

TRACE = "1-5759e988-bd862e3fe1be46a994272793"
OTHER = "1-5759e989-bd862e3fe1be46a994272793"
HEAD = b'{"format":"json","version":1}\n'


def segment(id_: str, name: str, parent: str = "", **more: Any) -> dict[str, Any]:
    document = {"id": id_, "name": name, "trace_id": TRACE, "start_time": 10.0, "end_time": 11.0, **more}
    return {**document, "parent_id": parent} if parent else document


def call(id_: str, service: str, parent: str, **more: Any) -> dict[str, Any]:
    return segment(id_, service, parent, namespace="aws", aws={"operation": "Do"}, **more)


INTAKE = segment("a", "admit", origin="AWS::Lambda::Function")
HANDLER = segment("b", "## lambda_handler", "a", annotations={"window": "w", "stage": "AdmitEvents"})
START = call("c", "states", "b")
MACHINE = segment("d", "windows", "c", origin="AWS::StepFunctions::StateMachine", start_time=10.5)
STEP = segment("e", "plan", "d", origin="AWS::Lambda::Function", start_time=10.6)
READ = call("f", "ec2", "e", throttle=True)
WHOLE = [READ, STEP, MACHINE, START, HANDLER, INTAKE]  # a segment arrives when it ends: the inner ones first


def test_a_trace_is_one_tree_whatever_came_first() -> None:
    traces = Traces(WHOLE)
    [root] = traces.roots(TRACE)
    assert root.name == "admit"
    path = [root]
    while children := traces.children(path[-1]):
        [child] = children
        path.append(child)
    assert [span.name for span in path] == [
        "admit",
        "## lambda_handler",
        "states Do",
        "windows",
        "plan",
        "ec2 Do",
    ]
    assert [span.name for span in path if span.failed] == ["ec2 Do"]


def test_the_map_leads_to_who_answered_and_infers_who_did_not() -> None:
    found = Traces(WHOLE).service_map(TRACE)
    assert found.nodes == {"admit", "windows", "plan", "ec2"}
    assert found.edges == {("admit", "windows"), ("windows", "plan"), ("plan", "ec2")}
    assert found.reached_from("admit") == found.nodes
    assert found.reached_from("plan") == {"plan", "ec2"}


def test_a_link_that_is_missing_shows() -> None:
    traces = Traces([document for document in WHOLE if document is not MACHINE])
    assert [root.name for root in traces.roots(TRACE)] == ["plan", "admit"]
    assert traces.service_map(TRACE).reached_from("admit") == {"admit", "states"}


def test_subsegments_inside_a_segment_belong_to_its_trace() -> None:
    inner = {"id": "x", "name": "dynamodb", "namespace": "aws", "start_time": 10.1, "end_time": 10.2}
    traces = Traces([{**INTAKE, "subsegments": [inner]}])
    [child] = traces.children(traces.roots(TRACE)[0])
    assert (child.trace, child.called) == (TRACE, "dynamodb")
    assert child.seconds == pytest.approx(0.1)


def test_a_span_that_was_sent_again_counts_once_as_it_ended() -> None:
    unfinished = {name: value for name, value in INTAKE.items() if name != "end_time"}
    [span] = Traces([unfinished, INTAKE]).spans()
    assert span.end == 11.0


def test_traces_are_found_by_their_annotations_the_oldest_first() -> None:
    later = segment("z", "sweep", trace_id=OTHER, start_time=99.0, annotations={"window": "w"})
    traces = Traces([later, *WHOLE])
    assert traces.annotated(window="w") == [TRACE, OTHER]
    assert traces.annotated(window="w", stage="AdmitEvents") == [TRACE]
    assert traces.annotated(window="other") == []


def test_services_can_be_called_by_shorter_names() -> None:
    found = Traces(WHOLE, {"admit": "AdmitEvents"}).service_map(TRACE)
    assert ("AdmitEvents", "windows") in found.edges
    assert found.mermaid().splitlines() == [
        "flowchart LR",
        '    n0["AdmitEvents"]',
        '    n1["ec2"]',
        '    n2["plan"]',
        '    n3["windows"]',
        "    n0 --> n3",
        "    n2 --> n1",
        "    n3 --> n2",
    ]


def test_a_datagram_is_a_head_and_a_segment() -> None:
    assert parse_datagram(HEAD + json.dumps(INTAKE).encode()) == INTAKE


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        (b"", "Expecting value"),
        (b'{"format":"json","version":2}\n{}', "version 1"),
        (HEAD, "Expecting value"),
        (HEAD + b'{"name": "x", "id": "a"}', "'x' lacks start_time, trace_id"),
    ],
)
def test_what_no_daemon_would_take_is_refused(datagram: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_datagram(datagram)
