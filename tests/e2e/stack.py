"""The deployed stack as a scenario sees it: its own groups, its warnings, what became of them."""

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import requests

from local import events, fleet
from local.account import Account, Depth, WindowAccount
from local.deployment import STACK
from local.embedded import EmbeddedAws
from local.inbox import Heard, Inbox
from local.settings import ACCOUNT, REGION, ROOT
from signalbox.ledger.actions import Action
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.ledger.windows import WindowKey
from signalbox.spot.intake import DOMAIN

WARNING = ROOT / "events" / "spot" / "interruption_warning.json"
KEY = WindowKey(DOMAIN, ACCOUNT, REGION)
AGE_SECONDS = 83
"""How long ago a warning says it was sent: 37 s are left, and the commands are due in 2 to 7."""
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.2
MANY_WINDOWS = 20
SHUTDOWN = ("systemctl stop app",)
READS = ("Describe", "Get", "List")
ALIAS = "live"
"""What everybody invokes."""

type Event = dict[str, Any]


def wait_until[T](
    found: Callable[[], T],
    what: str,
    seen: Callable[[], object] = lambda: "",
    *,
    patience: float = PATIENCE_SECONDS,
) -> T:
    """What `found` answers as soon as that is true; fails, telling what was `seen`, if it never is."""
    give_up_at = time.monotonic() + patience
    while not (answer := found()):
        assert time.monotonic() < give_up_at, f"not within {patience:.0f} s: {what}. {seen()}"
        time.sleep(POLL_SECONDS)
    return answer


class Guard:
    """The doors of the estate's guard."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_guard"

    def calls(self) -> dict[str, int]:
        """Calls by `service:Operation`, whatever came of them."""
        calls: dict[str, int] = requests.get(f"{self._url}/calls", timeout=10).json()["calls"]
        return calls

    def changes(self) -> dict[str, int]:
        """Those that were to change something."""
        return {name: n for name, n in self.calls().items() if not name.partition(":")[2].startswith(READS)}

    def throttled(self) -> dict[str, int]:
        """Calls by `service:Operation` that were throttled."""
        calls: dict[str, int] = requests.get(f"{self._url}/calls", timeout=10).json()["throttled"]
        return calls

    def reset(self) -> None:
        """Forgets counts, faults and what it remembers of roles."""
        requests.post(f"{self._url}/reset", json={}, timeout=10).raise_for_status()

    def order(self, operation: str, fault: str, times: int, **more: Any) -> None:
        """Orders a fault for the next calls of an operation."""
        document = {"operation": operation, "fault": fault, "times": times, **more}
        requests.post(f"{self._url}/faults", json=document, timeout=10).raise_for_status()


@dataclass(frozen=True, slots=True)
class Group:
    """An Auto Scaling group of one scenario, with its first instances."""

    name: str
    instances: tuple[str, ...]
    target_group_arn: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of warnings: the windows they went through, and what was said of the scenario's groups."""

    windows: tuple[WindowAccount, ...]
    executions: Mapping[str, str]
    heard: Heard

    @property
    def outcomes(self) -> dict[str, str]:
        """How each instance's episode stands."""
        return {i: e.outcome for window in self.windows for i, e in window.episodes.items()}

    @property
    def alerts(self) -> list[tuple[str, str, str]]:
        """Group, stage and outcome of each alert."""
        attributes = (alert["MessageAttributes"] for alert in self.heard.alerts)
        return sorted((a["group"]["Value"], a["stage"]["Value"], a["outcome"]["Value"]) for a in attributes)

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Group, outcome and instance, for each that a domain event names."""
        details = [event["detail"] for event in self.heard.events]
        return sorted((d["group"], d["outcome"], i["instance_id"]) for d in details for i in d["instances"])

    def actions(self, kind: str) -> list[Action]:
        """Those of every window, in order."""
        return [action for window in self.windows for action in window.actions if action.kind == kind]

    def reasons(self, instance: str) -> dict[str, str]:
        """Code and text of the reasons for what was decided about an instance."""
        decisions = (d for window in self.windows for d in window.decisions if d.instance == instance)
        return {reason.code: reason.text for decision in decisions for reason in decision.reasons}


@dataclass(slots=True)
class Stack:
    """The deployed stack, shared by the scenarios of a session."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]
    fleet: fleet.Fleet
    inbox: Inbox
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def guard(self) -> Guard:
        return Guard(self.aws.estate_url)

    @property
    def account(self) -> Account:
        return Account(self.aws, self.outputs)

    @property
    def ledger(self) -> DynamoLedger:
        """The ledger as the program writes it."""
        return DynamoLedger(self.aws.client("dynamodb"), self.outputs["LedgerTableName"], time.time)

    def physical(self, logical_id: str) -> str:
        """The name that CloudFormation gave a resource of the template."""
        detail = self.aws.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=logical_id
        )
        name: str = detail["StackResourceDetail"]["PhysicalResourceId"]
        return name

    def depth(self, queue: str) -> Depth:
        """How many messages a queue of the outputs holds."""
        [depth] = [depth for depth in self.account.queues() if depth.name == queue]
        return depth

    def executions(self) -> dict[str, str]:
        """Every execution's status, by name."""
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        listed = pages.paginate(stateMachineArn=self.outputs["SpotStateMachineArn"])
        return {e["name"]: e["status"] for page in listed for e in page["executions"]}

    def newest_window(self) -> int:
        """The number of the newest window; 0 before the first."""
        pointer = self.ledger.pointer(KEY)
        return pointer.number if pointer else 0

    def is_quiet(self) -> bool:
        """No event waits, no execution runs."""
        intake = self.depth("SpotIntakeQueue")
        return not intake.visible + intake.in_flight and "RUNNING" not in self.executions().values()

    def commands(self, instances: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """The commands sent to each of the instances, as Systems Manager lists them."""
        pages = self.aws.client("ssm").get_paginator("list_commands").paginate()
        listed = [command for page in pages for command in page["Commands"]]
        return {instance: [c for c in listed if instance in c["InstanceIds"]] for instance in instances}

    def target_states(self, group: Group, instances: Collection[str]) -> set[str]:
        """The states of these targets of the group's target group."""
        health = self.aws.client("elbv2").describe_target_health(
            TargetGroupArn=group.target_group_arn, Targets=[{"Id": instance} for instance in instances]
        )
        return {target["TargetHealth"]["State"] for target in health["TargetHealthDescriptions"]}

    def members(self, group: Group) -> tuple[str, ...]:
        """The instances of the group that are in service now."""
        return fleet.members(self.aws, group.name)[group.name]

    def policies_changed(self) -> None:
        """Has those beside the spine ask it anew what a role may do; the guard counts anew from here."""
        self.guard.reset()
        self.aws.ask_codeartifact("POST", "forget")

    @contextmanager
    def without_permission(self, role_id: str, action: str) -> Iterator[None]:
        """Takes every statement that names the action out of a role's policy, for a while."""
        iam, role = self.aws.client("iam"), self.physical(role_id)
        before = iam.get_role_policy(RoleName=role, PolicyName="least")["PolicyDocument"]
        statements = [s for s in before["Statement"] if action not in s["Action"]]
        assert len(statements) == len(before["Statement"]) - 1
        after = {**before, "Statement": statements}
        try:
            iam.put_role_policy(RoleName=role, PolicyName="least", PolicyDocument=json.dumps(after))
            self.policies_changed()
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName="least", PolicyDocument=json.dumps(before))
            self.policies_changed()

    @contextmanager
    def variable(self, function_id: str, name: str, value: str) -> Iterator[None]:
        """Gives a function another value of an environment variable, for a while: a version of its own."""
        functions, function = self.aws.client("lambda"), self.physical(function_id)
        before = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        live = functions.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"]
        assert name in before
        try:
            functions.update_function_configuration(
                FunctionName=function, Environment={"Variables": {**before, name: value}}
            )
            changed = functions.publish_version(FunctionName=function)["Version"]
            functions.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=changed)
            yield
        finally:
            functions.update_function_configuration(FunctionName=function, Environment={"Variables": before})
            functions.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=live)

    @contextmanager
    def visibility_timeout(self, queue: str, seconds: int) -> Iterator[None]:
        """Gives a queue of the outputs another visibility timeout, for a while."""
        sqs, url = self.aws.client("sqs"), self.outputs[f"{queue}Url"]
        before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
        try:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@dataclass(slots=True)
class Scene:
    """One scenario on the shared stack: it has groups of its own, and knows what was there before it."""

    stack: Stack
    before: int
    names: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, stack: Stack) -> "Scene":
        """When the stack is quiet. What was said before is not heard, ordered faults are forgotten."""
        wait_until(stack.is_quiet, "the stack is quiet", stack.executions)
        stack.inbox.drain()
        stack.guard.reset()
        return cls(stack, stack.newest_window())

    def group(self, size: int, **properties: Any) -> Group:
        """A new Auto Scaling group of Spot instances behind the fleet's load balancer, with commands.

        `properties` are other fields of `local.fleet.Group`. The guard counts anew from here.
        """
        name = f"scene-{next(self.stack.numbers)}"
        fields = {"behind_load_balancer": True, "shutdown": SHUTDOWN, **properties}
        target_group = fleet.add(self.stack.aws, fleet.Group(name, size, **fields))
        self.names.append(name)
        group = Group(name, fleet.members(self.stack.aws, name)[name], target_group)
        assert len(group.instances) == size
        self.stack.guard.reset()
        return group

    def send(self, *warnings: Event) -> list[list[str]]:
        """Delivers them to the bus, as AWS would; answers the rules that each matched."""
        return [delivered["rules"] for delivered in self.stack.aws.deliver(list(warnings))]

    def put_on_queue(self, *bodies: str) -> list[str]:
        """Puts message bodies straight on the intake queue, as one batch; answers the messages' ids."""
        answer = self.stack.aws.client("sqs").send_message_batch(
            QueueUrl=self.stack.outputs["SpotIntakeQueueUrl"],
            Entries=[{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)],
        )
        ids = {entry["Id"]: entry["MessageId"] for entry in answer["Successful"]}
        return [ids[str(number)] for number in range(len(bodies))]

    def settled(self, instances: Sequence[str]) -> Settled:
        """Waits until the stack is quiet and each of the instances has an outcome."""

        def found() -> tuple[WindowAccount, ...]:
            if not self.stack.is_quiet():
                return ()
            windows = self._windows()
            done = {i for w in windows if w.state == "settled" for i in w.episodes if w.episodes[i].outcome}
            return windows if done.issuperset(instances) else ()

        windows = wait_until(found, f"{', '.join(instances)} settled", self._seen)
        return self._told(windows)

    def quiet(self) -> Settled:
        """Waits until every event is taken in and no execution runs."""
        wait_until(self.stack.is_quiet, "the stack is quiet", self._seen)
        return self._told(self._windows())

    def _windows(self) -> tuple[WindowAccount, ...]:
        newest = self.stack.account.windows(MANY_WINDOWS)
        return tuple(w for w in newest if w.window.number > self.before)

    def _seen(self) -> str:
        windows = [f"{w.window} {w.state}" for w in self._windows()]
        return f"windows: {windows}; executions: {self.stack.executions()}; {self.stack.account.queues()}"

    def _told(self, windows: tuple[WindowAccount, ...]) -> Settled:
        names = tuple(window.window.execution_name for window in windows)
        executions = {n: s for n, s in self.stack.executions().items() if names and n.startswith(names)}
        heard = self.stack.inbox.drain()
        return Settled(windows, executions, heard)


def warning(instance: str, *, age: float = AGE_SECONDS, **members: Any) -> Event:
    """The sample warning about an instance, `age` seconds old; `members` replace the event's own."""
    moment = datetime.fromtimestamp(time.time() - age, UTC)
    [event] = events.fill(events.read(WARNING), events.Values(moment, iter([instance])))
    return {**event, **members}


def with_detail(event: Event, **detail: Any) -> Event:
    """The event with other members in its detail, `instance_action` for `instance-action`; None removes."""
    changes = {name.replace("_", "-"): value for name, value in detail.items()}
    merged = {**event["detail"], **changes}
    return {**event, "detail": {name: value for name, value in merged.items() if value is not None}}


def batch_of(bodies: Sequence[str]) -> dict[str, Any]:
    """What Lambda gives a function of messages that come for the first time."""
    records = [
        {
            "messageId": str(number),
            "receiptHandle": str(number),
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def new_id() -> str:
    """An event id nobody had."""
    return str(uuid.uuid4())
