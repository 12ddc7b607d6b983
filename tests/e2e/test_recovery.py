"""A window that lost its execution: the intake ended between its last write and the start."""

import json
import time

import msgspec
import pytest

from signalbox.eventbridge import Envelope
from signalbox.ledger.windows import Segment, Window
from signalbox.spot.events import parse_event
from tests.e2e.stack import KEY, Scene, warning

pytestmark = pytest.mark.embedded

ABANDONED_SECONDS = 60.0


def test_a_window_without_an_execution_gets_one_from_the_sweeper(scene: Scene) -> None:
    group = scene.group(2)
    warned = group.instances[0]
    [notice] = parse_event(msgspec.convert(warning(warned), Envelope))
    ledger, newest = scene.stack.ledger, scene.stack.ledger.pointer(KEY)
    window = Window(KEY.domain, KEY.account, KEY.region, newest.number + 1 if newest else 1)
    ledger.append(window, Segment.of([msgspec.to_builtins(notice)]))
    assert ledger.open_next(KEY, newest, time.time() - ABANDONED_SECONDS)
    functions, sweeper = scene.stack.aws.client("lambda"), scene.stack.physical("SpotSweepWindowsFunction")
    answer = functions.invoke(FunctionName=sweeper)
    swept = json.load(answer["Payload"])
    assert "FunctionError" not in answer, swept
    # The schedule may have been first: once a minute it does the same.
    assert swept["given_up"] == 0
    settled = scene.settled([warned])
    assert settled.executions == {window.execution_name: "SUCCEEDED"}
    assert settled.outcomes == {warned: "handled"}
    assert warned not in scene.stack.members(group)
    again = json.load(functions.invoke(FunctionName=sweeper)["Payload"])
    assert again == {"admitted": 0, "restarted": 0, "given_up": 0, "found_running": 0}
