"""Events that are not as they should be: each refused with what is wrong and where, none in the way."""

import json

import pytest

from local import status
from tests.e2e.stack import Scene, Stack, wait_until, warning, with_detail

pytestmark = pytest.mark.embedded

OTHER_ACCOUNT = "210987654321"
OTHER_REGION = "eu-west-1"


def test_bad_input_is_recorded_and_holds_up_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Straight on the queue: what the rule would not let through is refused behind it as well."""
    group = scene.group(2)
    good, spared = group.instances
    event = warning(spared)
    untimed = {name: value for name, value in event.items() if name != "time"}
    bad = [
        (with_detail(event, instance_id=7), "malformed", "$.detail.instance-id"),
        (with_detail(event, instance_id="web-1"), "malformed", "$.detail.instance-id"),
        (untimed, "malformed", "$"),
        (event | {"account": OTHER_ACCOUNT}, "foreign-account", "$.account"),
        (event | {"region": OTHER_REGION}, "foreign-region", "$.region"),
        (with_detail(event, instance_id=None), "missing-instance-id", "$.detail.instance-id"),
        (with_detail(event, instance_action="reboot"), "unknown-action", "$.detail.instance-action"),
        (warning(spared, age=-600), "from-future", "$.time"),
        (warning(spared, age=3 * 3600), "stale", "$.time"),
    ]
    counted = metric(scene.stack, "EventsRejected")
    ids = scene.put_on_queue(*(json.dumps(one) for one, _, _ in bad), json.dumps(warning(good)))
    settled = scene.settled([good])
    assert settled.outcomes == {good: "handled"}
    assert scene.stack.members(group).count(spared) == 1
    assert scene.stack.commands([spared]) == {spared: []}
    recorded = {r.id: r for r in scene.stack.account.rejections() if r.id in ids}
    assert [(recorded[id_].code, recorded[id_].where) for id_ in ids[:-1]] == [
        (code, where) for _, code, where in bad
    ]
    assert [json.loads(recorded[id_].body) for id_ in ids[:-1]] == [one for one, _, _ in bad]
    assert ids[-1] not in recorded
    assert metric(scene.stack, "EventsRejected") - counted == len(bad)
    monkeypatch.setenv("SIGNALBOX_STATE", str(scene.stack.aws.state))
    assert status.main(["--json"]) == 0
    told = {rejection["id"]: rejection for rejection in json.loads(capsys.readouterr().out)["rejections"]}
    assert {(told[id_]["code"], told[id_]["where"]) for id_ in ids[:-1]} == {(c, w) for _, c, w in bad}
    assert status.main([]) == 0
    shown = capsys.readouterr().out
    assert all(code in shown and where in shown for _, code, where in bad)


def test_unreadable_text_ends_in_the_dead_letter_queue(scene: Scene) -> None:
    [instance] = scene.group(1).instances
    before = scene.stack.depth("SpotIntakeDeadLetterQueue").visible
    counted = metric(scene.stack, "EventsReturned")
    with scene.stack.visibility_timeout("SpotIntakeQueue", 1):
        [unreadable, _] = scene.put_on_queue("interruption!", json.dumps(warning(instance)))
        wait_until(
            lambda: scene.stack.depth("SpotIntakeDeadLetterQueue").visible == before + 1,
            "the unreadable message is in the dead-letter queue",
            scene.stack.account.queues,
        )
        settled = scene.settled([instance])
    assert settled.outcomes == {instance: "handled"}
    assert unreadable not in {rejection.id for rejection in scene.stack.account.rejections()}
    sqs, url = scene.stack.aws.client("sqs"), scene.stack.outputs["SpotIntakeDeadLetterQueueUrl"]
    [dead] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=dead["ReceiptHandle"])
    assert dead["Body"] == "interruption!"
    assert metric(scene.stack, "EventsReturned") - counted == 1


def test_an_event_of_somebody_else_matches_no_rule(scene: Scene) -> None:
    [instance] = scene.group(1).instances
    foreign = [{"account": OTHER_ACCOUNT}, {"region": OTHER_REGION}, {"source": "aws.s3"}]
    assert scene.send(*(warning(instance) | members for members in foreign)) == [[], [], []]
    assert scene.quiet().windows == ()


def metric(stack: Stack, name: str) -> int:
    """The sum of a count that the intake wrote into its log, in the embedded metric format."""
    logs, function = stack.aws.client("logs"), stack.physical("SpotAdmitEventsFunction")
    configuration = stack.aws.client("lambda").get_function_configuration(FunctionName=function)
    pages = logs.get_paginator("filter_log_events")
    found = pages.paginate(logGroupName=configuration["LoggingConfig"]["LogGroup"], filterPattern=name)
    lines = (event["message"] for page in found for event in page["events"])
    return sum(json.loads(line).get(name, 0) for line in lines if line.startswith("{"))
