"""What goes wrong in the field with handlers of Spot interruptions, on the deployed stack.

The others: tests/unit/spot/test_field_failures.py.
"""

import json
from typing import Any

import pytest

from tests.e2e.stack import Scene, warning

pytestmark = pytest.mark.embedded


def test_1_a_detach_that_is_denied_stops_neither_draining_nor_the_commands(scene: Scene) -> None:
    """The sample handler of the EC2 Spot labs detaches first: an error there, and no command is ever run.
    Here nothing waits for anything else, and what failed is told with its reason."""
    group = scene.group(2)
    warned = group.instances[0]
    with scene.stack.without_permission("SpotDetachInstancesFunctionRole", "autoscaling:DetachInstances"):
        scene.send(warning(warned))
        settled = scene.settled([warned])
        assert scene.stack.members(group) == group.instances
    [detach] = settled.actions("detach")
    assert detach.status == "failed"
    assert detach.reason.startswith("access-denied: DetachInstances: AccessDenied: User: arn:aws:sts::")
    assert "not authorized to perform: autoscaling:DetachInstances" in detach.reason
    assert [action.status for action in settled.actions("deregister")] == ["succeeded"]
    assert [action.status for action in settled.actions("command")] == ["succeeded"]
    assert scene.stack.target_states(group, [warned]) == {"draining"}
    assert [len(sent) for sent in scene.stack.commands([warned]).values()] == [1]
    assert settled.outcomes == {warned: "failed"}
    assert settled.alerts == [(group.name, "notice", "act"), (group.name, "settled", "failed")]
    [failed] = [a for a in settled.heard.alerts if a["MessageAttributes"]["stage"]["Value"] == "settled"]
    assert "something failed" in failed["Subject"]
    assert "detach failed: access-denied" in failed["Message"]
    assert settled.told == [(group.name, "failed", warned)]
    [execution] = settled.executions
    cause = failure(scene, execution)
    assert cause["outcomes"]["failed"] == 1
    assert cause["errors"] == []


def failure(scene: Scene, name: str) -> dict[str, Any]:
    """What an execution says that it failed of."""
    machine = scene.stack.outputs["SpotStateMachineArn"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    execution = scene.stack.aws.client("stepfunctions").describe_execution(executionArn=arn)
    assert (execution["status"], execution["error"]) == ("FAILED", "ActionsFailed")
    cause: dict[str, Any] = json.loads(execution["cause"])
    return cause
