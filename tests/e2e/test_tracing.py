"""One trace from the intake to the last AWS call, from the segments that the functions really send.

What AWS's own services would send is stood in for by the spine, as local/README.md says. That the links
between them hold is the program's affair: each is a header that a function's own SDK sent or was given.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from local import trace
from local.trace import nicknames
from local.traces import Span, Traces
from tests.e2e.stack import Scene, Settled, Stack, warning

pytestmark = pytest.mark.embedded

INTAKE = "SpotAdmitEventsFunction"
MACHINE = "SpotWindowStateMachine"
INDEXED = 50  # annotations a trace ("AWS X-Ray endpoints and quotas", AWS General Reference)
STEPS = {
    "SpotPlanWindowFunction": {"dynamodb", "ec2", "autoscaling", "ssm"},
    "SpotDetachInstancesFunction": {"dynamodb", "autoscaling"},
    "SpotDeregisterTargetsFunction": {"dynamodb", "elasticloadbalancing"},
    "SpotSendCommandsFunction": {"dynamodb", "ssm"},
    "SpotVerifyWindowFunction": {"dynamodb", "autoscaling", "elasticloadbalancing", "ssm"},
    "SpotSettleWindowFunction": {"dynamodb"},
    "SpotPublishAlertsFunction": {"dynamodb", "sns", "events"},
}
"""Each function that handles a plain interruption, and whom it calls."""


@pytest.fixture
def handled(scene: Scene) -> tuple[Settled, str]:
    """One interruption from beginning to end; the window and its instance."""
    [instance] = scene.group(1).instances
    scene.send(warning(instance))
    settled = scene.settled([instance])
    assert settled.outcomes == {instance: "handled"}
    return settled, instance


def traces_of(stack: Stack) -> Traces:
    return Traces(stack.aws.segments(), nicknames(stack.aws))


def test_one_trace_joins_the_intake_the_execution_its_functions_and_their_calls(
    scene: Scene, handled: tuple[Settled, str]
) -> None:
    settled, _ = handled
    [window] = settled.windows
    traces = traces_of(scene.stack)
    [found] = traces.annotated(window=str(window.window))
    [root] = traces.roots(found)
    assert root.service == INTAKE
    assert {span.trace for span in descendants(traces, root)} == {found}
    invocations = [span for span in traces.spans(found) if span.service in {INTAKE, *STEPS}]
    assert len(invocations) > 1 + len(STEPS)  # alerts are published twice
    for invocation in invocations:
        # Beside it, where there are any, hang the actions: they are worked on in threads of their own.
        assert [child.name for child in traces.children(invocation)].count("## lambda_handler") == 1
    chart = traces.service_map(found)
    assert chart.reached_from(INTAKE) == chart.nodes
    assert (INTAKE, MACHINE) in chart.edges
    for function, called in STEPS.items():
        assert (MACHINE, function) in chart.edges
        assert {to for caller, to in chart.edges if caller == function} == called, function
    assert chart.nodes == {INTAKE, MACHINE, *STEPS, *set().union(*STEPS.values())}


def test_a_trace_is_annotated_with_what_it_is_about(scene: Scene, handled: tuple[Settled, str]) -> None:
    settled, instance = handled
    [window] = settled.windows
    [group] = scene.names
    [execution] = settled.executions
    traces = traces_of(scene.stack)
    [found] = traces.annotated(window=str(window.window))
    handlers = {span.annotations["stage"]: span for span in named(traces, found, "## lambda_handler")}
    assert handlers.keys() == {f.removeprefix("Spot").removesuffix("Function") for f in (INTAKE, *STEPS)}
    about = {
        "domain": "spot",
        "stack": "signalbox-local",
        "window": str(window.window),
        "account": window.window.account,
        "region": window.window.region,
        "execution": execution,
    }
    assert window.plan
    about["plan"] = window.plan.id
    intake = handlers["AdmitEvents"].annotations
    assert (intake["domain"], intake["stack"]) == ("spot", "signalbox-local")
    for stage in handlers.keys() - {"AdmitEvents"}:
        assert handlers[stage].annotations.items() >= about.items(), stage
    assert handlers["PlanWindow"].annotations.items() >= {"group": group, "instance": instance}.items()
    assert {stage: span.annotations["outcome"] for stage, span in handlers.items()} == {
        "AdmitEvents": "admitted",
        "PlanWindow": "planned",
        "DetachInstances": "succeeded",
        "DeregisterTargets": "succeeded",
        "SendCommands": "succeeded",
        "VerifyWindow": "verified",
        "SettleWindow": "handled",
        "PublishAlerts": "succeeded",
    }
    [joined] = named(traces, found, "## JoinWindow")
    assert joined.annotations.items() >= {"window": str(window.window), "instance": instance}.items()
    [detach] = named(traces, found, "## detach")
    assert detach.annotations == {"group": group, "outcome": "succeeded"}
    pairs = {pair for span in traces.spans(found) for pair in span.annotations.items()}
    assert len(pairs) <= INDEXED


def test_a_window_that_is_restarted_keeps_its_annotation_in_another_trace(scene: Scene) -> None:
    """Two roots cannot be one trace: the window is what both are found by."""
    stack = scene.stack
    instance, later = scene.group(2).instances
    with stack.without_permission("SpotPlanWindowFunctionRole", "ec2:DescribeInstances"):
        scene.send(warning(instance))
        scene.quiet()
    scene.send(warning(later))  # the newest window would be left alone for half a minute
    scene.settled([later])
    swept = stack.aws.client("lambda").invoke(FunctionName=stack.physical("SpotSweepWindowsFunction"))
    assert "FunctionError" not in swept, swept["Payload"].read()
    settled = scene.settled([instance])
    [window] = [each for each in settled.windows if instance in each.episodes]
    traces = traces_of(stack)
    first, second = traces.annotated(window=str(window.window))
    assert [traces.roots(each)[0].service for each in (first, second)] == [INTAKE, "SpotSweepWindowsFunction"]
    assert all(len(traces.roots(each)) == 1 for each in (first, second))
    [failed] = [
        span
        for span in named(traces, first, "## lambda_handler")
        if span.annotations["stage"] == "PlanWindow"
    ]
    assert (failed.annotations["outcome"], failed.annotations["harm"]) == ("failed", True)
    name = window.window.execution_name
    assert traces.annotated(execution=name) == [first]
    assert traces.annotated(execution=f"{name}-r1") == [second]


def test_every_log_line_of_a_function_says_whose_it_is(scene: Scene, handled: tuple[Settled, str]) -> None:
    settled, instance = handled
    [window] = settled.windows
    traces = traces_of(scene.stack)
    [found] = traces.annotated(window=str(window.window))
    lines = [line for line in log_lines(scene.stack) if of_trace(line, traces, found)]
    by_stage = Counter(line["stage"] for line in lines)
    assert by_stage.keys() >= {"AdmitEvents", "PlanWindow", "SettleWindow"}
    for line in lines:
        assert line["domain"] == "spot"
        assert line["function_request_id"]
        if line["stage"] != "AdmitEvents":
            assert line["window"] == str(window.window)
            assert line["execution"] in settled.executions
            assert window.plan
            assert line["plan"] == window.plan.id
    [joined] = [line for line in lines if line.get("message") == "notices joined a window"]
    assert (joined["window"], joined["instances"]) == (str(window.window), [instance])
    assert len(joined["events"]) == len(joined["messages"]) == 1


def test_a_trace_is_shown_to_whoever_asks_for_an_instance(
    scene: Scene,
    handled: tuple[Settled, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settled, instance = handled
    [window] = settled.windows
    monkeypatch.setenv("SIGNALBOX_STATE", str(scene.stack.aws.state))
    monkeypatch.setenv("COLUMNS", "200")
    assert trace.main([instance]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (INTAKE, MACHINE, *STEPS))
    assert "autoscaling DetachInstances" in shown
    assert trace.main([str(window.window.number)]) == 0
    assert capsys.readouterr().out == shown
    assert trace.main([instance, "--map"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR")
    assert trace.main(["i-00000000000000000"]) == 1
    assert "No trace of i-00000000000000000" in capsys.readouterr().err


def descendants(traces: Traces, root: Span) -> Iterator[Span]:
    yield root
    for child in traces.children(root):
        yield from descendants(traces, child)


def named(traces: Traces, trace: str, name: str) -> list[Span]:
    return [span for span in traces.spans(trace) if span.name == name]


def of_trace(line: dict[str, Any], traces: Traces, trace: str) -> bool:
    """By its trace id; a line of metrics has none, and its request's id instead."""
    requests = {span.request for span in traces.spans(trace) if span.request}
    return line.get("xray_trace_id") == trace or line.get("function_request_id") in requests


def log_lines(stack: Stack) -> list[dict[str, Any]]:
    """Every line that the functions wrote."""
    logs = stack.aws.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/signalbox-local/")["logGroups"]
    pages = logs.get_paginator("filter_log_events")
    found = (
        event["message"]
        for group in groups
        for page in pages.paginate(logGroupName=group["logGroupName"])
        for event in page["events"]
    )
    return [json.loads(line) for line in found if line.startswith("{")]
