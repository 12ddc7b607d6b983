"""An event that EventBridge can't deliver waits in the rules' dead-letter queue; replayed, it is handled."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from operations import cli
from tests.e2e.stack import Scene, Stack, warning

pytestmark = pytest.mark.embedded

RULE = "SpotInstanceEventsRule"
QUEUE = "SpotRuleDeadLetterQueue"


@contextmanager
def target_gone(stack: Stack) -> Iterator[None]:
    """The rule's target names a queue that is not there, for a while."""
    events, rule = stack.aws.client("events"), stack.physical(RULE)
    [target] = events.list_targets_by_rule(Rule=rule)["Targets"]
    # ministack keeps what came from a parameter of the stack as text.
    target["RetryPolicy"] = {name: int(value) for name, value in target["RetryPolicy"].items()}
    try:
        events.put_targets(Rule=rule, Targets=[{**target, "Arn": f"{target['Arn']}-gone"}])
        yield
    finally:
        events.put_targets(Rule=rule, Targets=[target])


def replay(*options: str) -> int:
    return cli.main(["replay", "--local", *options])


def test_an_undelivered_event_is_kept_replayed_and_handled(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = scene.stack
    monkeypatch.setenv("SIGNALBOX_STATE", str(stack.aws.state))
    # Without commands, which wait for the deadline: there is time enough to be handled in.
    fresh, old = scene.group(2, shutdown=()).instances
    with target_gone(stack):
        scene.send(warning(fresh, age=10), warning(old, age=3_600))
    # What SpotRuleDeadLetterQueueAlarm looks at.
    assert stack.depth(QUEUE).visible == 2
    assert scene.quiet().windows == ()

    assert replay() == 0
    shown = capsys.readouterr().out
    assert "NO_RESOURCE" in shown
    assert fresh in shown
    assert "1 handled" in shown
    assert "1 too old to act on" in shown
    assert stack.depth(QUEUE).visible == 2

    assert replay("--execute") == 0
    assert "2 replayed." in capsys.readouterr().out
    assert stack.depth(QUEUE).visible == 0
    settled = scene.settled([fresh])
    assert settled.outcomes == {fresh: "handled"}
    assert [r.code for r in stack.account.rejections() if old in r.body] == ["stale"]

    # Replayed once more, as after a crash between sending and deleting: nothing happens twice.
    with target_gone(stack):
        scene.send(warning(fresh, age=20))
    assert replay("--execute") == 0
    scene.quiet()
    changes = stack.guard.changes()
    assert changes["autoscaling:DetachInstances"] == 1
    assert replay("--execute") == 0
    assert "Nothing there." in capsys.readouterr().out


def test_what_the_embedded_aws_cannot_do_is_said(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGNALBOX_STATE", str(stack.aws.state))
    assert replay("--queue", "intake", "--execute") == 1
    assert "replay failed" in capsys.readouterr().err
