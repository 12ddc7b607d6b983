"""What each role is for, done once on the deployed stack: short, and with nothing but what it needs.

A rehearsal prepares the ledger as the step before would have left it, as the account's root, and invokes
the function. It answers everything that was said: the answer, the log, what became of the actions.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import msgspec

from local import events, fleet
from local.deployment import STACK
from local.settings import ACCOUNT, REGION, ROOT
from signalbox.eventbridge import Envelope
from signalbox.ledger.actions import Action
from signalbox.ledger.deferrals import Deferral
from signalbox.ledger.records import Plan, Record
from signalbox.ledger.windows import Segment, Window
from signalbox.spot.configuration import COMMANDS_TAG, MODE_TAG, TARGETS_TAG, Reason
from signalbox.spot.episodes import Episode, episode_key
from signalbox.spot.events import parse_event
from signalbox.spot.late_look import LATE_LOOK, Look
from signalbox.spot.notices import Severity
from signalbox.spot.planning import Decision
from tests.e2e.document_rehearsals import DOCUMENT_REHEARSALS
from tests.e2e.package_rehearsals import PACKAGE_REHEARSALS
from tests.e2e.stack import KEY, Event, Group, Scene, Stack, batch_of, wait_until, warning
from tests.e2e.upload_rehearsal import manage_uploads

SCHEDULED = ROOT / "events" / "spot" / "health_scheduled_change.json"
PLAN = "rehearsal"
DOCUMENT = f"{STACK}-spot-command"
FIRST_WINDOW = 10_000_000
"""Far from the windows of the intake."""
ABANDONED_SECONDS = 60.0
PARAMETERS = {
    "Commands": ["false"],
    "InstanceAction": ["terminate"],
    "Deadline": ["2026-01-31T12:00:00Z"],
    "TimeoutSeconds": ["25"],
}
NOBODY = "i-0000000000000000f"
"""An instance that nobody knows."""


@dataclass(slots=True)
class Stage:
    """The stack, and what the rehearsals act on: a group that opted in, and an instance of no group."""

    scene: Scene
    group: Group
    loner: str
    numbers: Iterator[int] = field(default_factory=lambda: count(FIRST_WINDOW))

    @classmethod
    def set(cls, scene: Scene) -> "Stage":
        group = scene.group(2, rebalance="act")
        aws = scene.stack.aws
        [launched] = aws.client("ec2").run_instances(ImageId=fleet.IMAGE, MinCount=1, MaxCount=1)["Instances"]
        return cls(scene, group, launched["InstanceId"])

    @property
    def stack(self) -> Stack:
        return self.scene.stack

    def window(self) -> Window:
        """One that nobody knows yet."""
        return Window(KEY.domain, ACCOUNT, REGION, next(self.numbers))

    def members(self, group: str = "") -> tuple[str, ...]:
        """The instances in service now: of this group of the fleet, or of the rehearsals' own."""
        name = group or self.group.name
        return fleet.members(self.stack.aws, name)[name]

    def action(self, kind: str, target: str, subject: str, **more: Any) -> Action:
        """One action of a plan, due now, for a deadline soon."""
        fields = {"group": self.group.name, "deadline": time.time() + 60, **more}
        number = next(self.numbers)
        return Action(id=f"{PLAN}#{kind}#{number}", kind=kind, target=target, subjects=(subject,), **fields)

    def episode(self, window: Window, instance: str, *kinds: str) -> None:
        """Notes that the window planned these kinds of action for the instance."""
        episode = Episode(
            account=ACCOUNT,
            region=REGION,
            instance=instance,
            severity=Severity.INTERRUPTION,
            instance_action="terminate",
            opened_at=time.time(),
            deadline=time.time() + 60,
            notices=("rehearsal",),
            window=window.number,
            planned=dict.fromkeys(kinds, window.number),
        )
        self.forget(instance)
        key = episode_key(ACCOUNT, REGION, instance)
        assert not self.stack.ledger.put_records([Record(key, msgspec.to_builtins(episode))])

    def forget(self, instance: str) -> None:
        """Removes the instance's episode."""
        key = {"pk": {"S": f"RECORD#{episode_key(ACCOUNT, REGION, instance)}"}, "sk": {"S": "CURRENT"}}
        self.stack.aws.client("dynamodb").delete_item(
            TableName=self.stack.outputs["LedgerTableName"], Key=key
        )

    def close_newest(self) -> None:
        """Has the next event open a window of its own."""
        if number := self.stack.newest_window():
            self.stack.ledger.close(Window(KEY.domain, ACCOUNT, REGION, number))

    def commit(self, window: Window, *actions: Action, decisions: Iterable[Decision] = ()) -> None:
        """Gives the window a plan with these actions, one for each branch of the state machine."""
        branches = ("detach", "deregister", "containers", "nodes", "command", "alert", "complete")
        summary = {"actions": dict.fromkeys(branches, 1), "command_due": None, "deadline": None}
        plan = Plan(
            id=PLAN,
            planned_at=time.time(),
            summary=summary,
            decisions=tuple(msgspec.to_builtins(decision) for decision in decisions),
        )
        assert self.stack.ledger.commit_plan(window, plan, actions) == plan

    def perform(self, function_id: str, *actions: Action, abandoned: bool = False) -> str:
        """Has a worker's function perform the actions; `abandoned` ones were begun by a worker that died."""
        window = self.window()
        self.commit(window, *actions)
        for action in actions if abandoned else ():
            assert self.stack.ledger.claim(window, action.id, "dead", time.time() - ABANDONED_SECONDS, 1)
        return self.ask(function_id, window) + str(self.stack.ledger.actions(window, PLAN))

    def ask(self, function_id: str, window: Window) -> str:
        """What the function says to a task."""
        return self.invoke(
            function_id, {"window": msgspec.to_builtins(window), "plan": PLAN, "execution": PLAN}
        )

    def take_from_queue(self, queue: str, function_id: str, body: str) -> str:
        """What Lambda says of a message that it is to take from a queue for a function."""
        [mapping] = self.stack.aws.client("lambda").list_event_source_mappings(
            FunctionName=self.stack.physical(function_id)
        )["EventSourceMappings"]

        def said() -> str:
            found = self.stack.aws.client("lambda").get_event_source_mapping(UUID=mapping["UUID"])
            result: str = found["LastProcessingResult"]
            depth = self.stack.depth(queue)
            taken = not depth.visible + depth.in_flight
            return result if taken or result.startswith("PROBLEM") else ""

        with self.stack.visibility_timeout(queue, 1):
            sqs, url = self.stack.aws.client("sqs"), self.stack.outputs[f"{queue}Url"]
            sqs.purge_queue(QueueUrl=url)  # one that could not be deleted stays hidden for minutes
            sqs.send_message(QueueUrl=url, MessageBody=body)
            return wait_until(
                said, "Lambda has taken the message, or says why not", self.stack.account.queues
            )

    def invoke(self, function_id: str, event: Mapping[str, Any]) -> str:
        """The function's answer and what it logged."""
        function, logs = self.stack.physical(function_id), self.stack.aws.client("logs")
        before = int(time.time() * 1000)
        answer = self.stack.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        group = self.stack.physical(f"{function_id}LogGroup")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=before)
        lines = [event["message"] for page in pages for event in page["events"]]
        return "\n".join([answer["Payload"].read().decode(), *lines])


def detach(stage: Stage) -> str:
    """One that is a member, and one that is none: there it looks."""
    member = stage.action("detach", stage.group.name, stage.members()[0])
    stranger = stage.action("detach", stage.group.name, NOBODY)
    return stage.perform("SpotDetachInstancesFunction", member, stranger)


def deregister(stage: Stage) -> str:
    target = stage.action("deregister", stage.group.target_group_arn, stage.members()[0])
    classic = stage.action("deregister-classic", "gone", NOBODY)
    return stage.perform("SpotDeregisterTargetsFunction", target, classic)


def drain_containers(stage: Stage) -> str:
    ecs, cluster = stage.stack.aws.client("ecs"), fleet.NAME
    [arn, *_] = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    ecs.update_container_instances_state(cluster=cluster, containerInstances=[arn], status="ACTIVE")
    [found] = ecs.describe_container_instances(cluster=cluster, containerInstances=[arn])[
        "containerInstances"
    ]
    action = stage.action("containers", cluster, found["ec2InstanceId"])
    return stage.perform("SpotDrainContainersFunction", action)


def drain_nodes(stage: Stage) -> str:
    return stage.perform("SpotDrainNodesFunction", stage.action("nodes", "gone", NOBODY))


def send_commands(stage: Stage) -> str:
    """Begun before: it looks whether the command was sent."""
    payload = {"timeout_seconds": 5, "script": ["true"], "instance_action": "terminate"}
    action = stage.action("command", DOCUMENT, stage.members()[0], payload=payload)
    return stage.perform("SpotSendCommandsFunction", action, abandoned=True)


def complete_hooks(stage: Stage) -> str:
    hook = stage.action("complete", "drain", NOBODY, payload={"token": str(uuid.uuid4())})
    risky = stage.action("terminate", stage.group.name, stage.members()[0])
    return stage.perform("SpotCompleteHooksFunction", hook, risky)


def publish(stage: Stage) -> str:
    alert = {"subject": "rehearsal", "message": "rehearsal", "attributes": {"outcome": "rehearsal"}}
    event = {"source": "rehearsal", "detail_type": "rehearsal", "detail": {}}
    return stage.perform(
        "SpotPublishAlertsFunction",
        stage.action("alert", "", NOBODY, payload=alert),
        stage.action("event", "", NOBODY, payload=event),
    )


def plan(stage: Stage) -> str:
    """A member of a group and one of none, whose tags name what no plan has read before."""
    window, unread = stage.window(), f"rehearsal-{next(stage.numbers)}"
    tags = {MODE_TAG: "act", COMMANDS_TAG: unread, TARGETS_TAG: unread}
    stage.stack.aws.client("ec2").create_tags(
        Resources=[stage.loner], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    interrupted = (stage.members()[0], stage.loner)
    for instance in interrupted:
        stage.forget(instance)
    notices = [news for instance in interrupted for news in parse_event(envelope(warning(instance)))]
    stage.stack.ledger.append(window, Segment.of([msgspec.to_builtins(notice) for notice in notices]))
    return stage.ask("SpotPlanWindowFunction", window)


def verify(stage: Stage) -> str:
    """Of a command that has failed it asks for each instance."""
    now, window = time.time(), stage.window()
    past = {
        "status": "succeeded",
        "started_at": now - ABANDONED_SECONDS,
        "finished_at": now,
        "deadline": now - ABANDONED_SECONDS,
    }
    drained = {"until": "drained"}
    sent = stage.stack.aws.client("ssm").send_command(
        DocumentName=DOCUMENT, InstanceIds=[stage.members()[0]], Parameters=PARAMETERS
    )
    stage.commit(
        window,
        stage.action("detach", stage.group.name, NOBODY, **past),
        stage.action("deregister", stage.group.target_group_arn, NOBODY, **past),
        stage.action("deregister-classic", "gone", NOBODY, **past, payload=drained),
        stage.action("containers", fleet.NAME, stage.members("apps")[0], **past),
        stage.action("command", DOCUMENT, stage.members()[0], **past, reference=sent["Command"]["CommandId"]),
        stage.action("complete", "drain", NOBODY, payload={"token": str(uuid.uuid4())}),
    )
    return stage.ask("SpotVerifyWindowFunction", window)


def settle(stage: Stage) -> str:
    """One that was detached: its episode gets an outcome, and somebody is to look for it later."""
    now, window = time.time(), stage.window()
    stage.episode(window, NOBODY, "detach")
    decision = Decision(
        instance=NOBODY,
        group=stage.group.name,
        mode="act",
        kinds=("detach",),
        reasons=(Reason("mode-by-tag", "rehearsal"),),
        instance_action="terminate",
        noticed_at=now,
        deadline=now + ABANDONED_SECONDS,
    )
    done = stage.action("detach", stage.group.name, NOBODY, status="succeeded", finished_at=now)
    stage.commit(window, done, decisions=[decision])
    return stage.ask("SpotSettleWindowFunction", window)


def admit(stage: Stage) -> str:
    """A warning that opens a window, and a scheduled change that is taken back."""
    stage.close_newest()
    moment = datetime.now(UTC)
    [change] = events.fill(events.read(SCHEDULED), events.Values(moment, iter([NOBODY])))
    change["detail"]["statusCode"] = "closed"
    bodies = [json.dumps(event) for event in (warning(f"i-{next(stage.numbers):017x}"), change)]
    of_no_interest = json.dumps(warning(NOBODY) | {"account": "000000000000"})
    function = "SpotAdmitEventsFunction"
    said = stage.invoke(function, batch_of(bodies))
    return said + stage.take_from_queue("SpotIntakeQueue", function, of_no_interest)


def sweep(stage: Stage) -> str:
    """Something deferred is due, a window has lost its execution, an instance runs in no group."""
    ledger, now, window = stage.stack.ledger, time.time(), stage.window()
    left = stage.action("detach", stage.group.name, stage.loner, status="succeeded", finished_at=now)
    stage.commit(window, left)
    stage.episode(window, stage.loner, "detach")
    [notice] = parse_event(envelope(warning(f"i-{next(stage.numbers):017x}")))
    look = msgspec.to_builtins(Look(window, PLAN))
    ledger.defer(Deferral(key=KEY, id=f"look-{window}", due_at=now - 1, entry=look, kind=LATE_LOOK))
    ledger.defer(Deferral(key=KEY, id=f"due-{window}", due_at=now - 1, entry=msgspec.to_builtins(notice)))
    assert ledger.open_next(KEY, ledger.pointer(KEY), now - ABANDONED_SECONDS)
    try:
        return stage.invoke("SpotSweepWindowsFunction", {})
    finally:
        for id_ in (f"look-{window}", f"due-{window}"):
            ledger.drop_deferral(KEY.domain, id_)


def run_machine(stage: Stage) -> str:
    """An execution whose plan claims to have something for every branch. What fails is tried again: AWS
    reports what its role may not invoke as a failure of Lambda's."""
    states, window = stage.stack.aws.client("stepfunctions"), stage.window()
    stage.commit(window)
    execution = states.start_execution(
        stateMachineArn=stage.stack.outputs["SpotStateMachineArn"],
        name=window.execution_name,
        input=json.dumps({"window": msgspec.to_builtins(window)}),
    )["executionArn"]
    running = partial(states.describe_execution, executionArn=execution)
    wait_until(lambda: running()["status"] != "RUNNING", "the execution ends")
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
    return str([event for page in pages for event in page["events"]])


def envelope(event: Event) -> Envelope:
    return msgspec.convert(event, Envelope)


REHEARSALS: Mapping[str, Callable[[Stage], str]] = {
    **DOCUMENT_REHEARSALS,
    **PACKAGE_REHEARSALS,
    "DocumentsManageUploadsFunctionRole": manage_uploads,
    "SpotAdmitEventsFunctionRole": admit,
    "SpotCompleteHooksFunctionRole": complete_hooks,
    "SpotDeregisterTargetsFunctionRole": deregister,
    "SpotDetachInstancesFunctionRole": detach,
    "SpotDrainContainersFunctionRole": drain_containers,
    "SpotDrainNodesFunctionRole": drain_nodes,
    "SpotPlanWindowFunctionRole": plan,
    "SpotPublishAlertsFunctionRole": publish,
    "SpotSendCommandsFunctionRole": send_commands,
    "SpotSettleWindowFunctionRole": settle,
    "SpotSweepWindowsFunctionRole": sweep,
    "SpotVerifyWindowFunctionRole": verify,
    "SpotWindowStateMachineRole": run_machine,
}
"""The role that needs it → the rehearsal."""
