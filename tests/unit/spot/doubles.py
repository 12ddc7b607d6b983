"""Fakes of the estate and builders of events."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from signalbox.clock import iso
from signalbox.errors import NotFoundError, RefusedError
from signalbox.eventbridge import Scope
from signalbox.ledger.actions import Action
from signalbox.ledger.windows import ExecutionState, Window
from signalbox.spot.configuration import Mode, Reason
from signalbox.spot.containers import ContainerInstance
from signalbox.spot.episodes import Episode
from signalbox.spot.estate import Group, Instance, Snapshot, TargetGroup
from signalbox.spot.notices import NOTICE_SECONDS, Notice, Severity
from signalbox.spot.performers import InvalidInstancesError
from signalbox.spot.planning import Decision

ACCOUNT, REGION = "123456789012", "us-east-1"
NOON = 1_780_000_000.0
SCOPE = Scope(frozenset({(ACCOUNT, REGION)}), maximum_age=900.0)
PLAN = "plan1"
DOCUMENT = "signalbox-spot-command"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


class MovableClock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def instance_id(number: int) -> str:
    return f"i-{number:017x}"


def warning(
    instance: str,
    *,
    at: float = NOON,
    action: str = "terminate",
    event_id: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """An interruption warning as EventBridge delivers it."""
    event = {
        "version": "0",
        "id": event_id or f"event-{instance}-{at}",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": iso(at),
        "region": REGION,
        "resources": [f"arn:aws:ec2:{REGION}a:instance/{instance}"],
        "detail": {"instance-id": instance, "instance-action": action},
    }
    return event | changes


def body(event: dict[str, Any]) -> str:
    return json.dumps(event)


def window(number: int = 1) -> Window:
    return Window("spot", ACCOUNT, REGION, number)


def target_group(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{name}/0123456789abcdef"


def notice(number: int = 0, *, at: float = NOON, **changes: Any) -> Notice:
    """What the parser makes of a warning."""
    fields: dict[str, Any] = {
        "event_id": f"event-{number}-{at}",
        "account": ACCOUNT,
        "region": REGION,
        "instance": instance_id(number),
        "severity": Severity.INTERRUPTION,
        "instance_action": "terminate",
        "noticed_at": at,
        "deadline": at + NOTICE_SECONDS,
    }
    return Notice(**fields | changes)


def episode(number: int = 0, *, at: float = NOON, **changes: Any) -> Episode:
    """An episode of one notice that window 1 took on."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "region": REGION,
        "instance": instance_id(number),
        "severity": Severity.INTERRUPTION,
        "instance_action": "terminate",
        "opened_at": at,
        "deadline": at + NOTICE_SECONDS,
        "notices": (f"event-{number}-{at}",),
        "window": 1,
    }
    return Episode(**fields | changes)


def decision(number: int = 0, *, group: str = "web", mode: Mode = "act", **changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "instance": instance_id(number),
        "group": group,
        "mode": mode,
        "kinds": ("detach", "deregister", "command"),
        "reasons": (Reason("mode-by-tag", "signalbox:spot=act on the instance"),),
        "instance_action": "terminate",
        "noticed_at": NOON,
        "deadline": NOON + NOTICE_SECONDS,
    }
    return Decision(**fields | changes)


TARGETS = {
    "deregister": target_group("web"),
    "deregister-classic": "classic",
    "containers": "cluster",
    "fail-health-check": DOCUMENT,
    "checkpoint": DOCUMENT,
    "command": DOCUMENT,
    "complete": "drain",
}
SCRIPT = {"script": ["systemctl stop web"], "timeout_seconds": 25, "instance_action": "terminate"}
PAYLOADS: dict[str, dict[str, Any]] = {
    "fail-health-check": SCRIPT,
    "checkpoint": SCRIPT,
    "command": SCRIPT,
    "complete": {"token": "87654321-4321-4321-4321-210987654321"},
}


def action(kind: str = "detach", number: int = 0, *, of: Iterable[int] = (0,), **changes: Any) -> Action:
    """One action of the plan, on behalf of these instances of the group ``web``."""
    fields: dict[str, Any] = {
        "id": f"{PLAN}#{kind}#{number:05d}",
        "kind": kind,
        "group": "web",
        "target": TARGETS.get(kind, "web"),
        "subjects": tuple(instance_id(i) for i in of),
        "payload": PAYLOADS.get(kind, {}),
        "deadline": NOON + NOTICE_SECONDS,
    }
    return Action(**fields | changes)


class Failing:
    """Stands before a store: each named method raises the errors put down for it, first to last, and then
    works."""

    def __init__(self, store: object, **errors: list[Exception]) -> None:
        self._store = store
        self._errors = errors

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def failing(*args: Any, **kwargs: Any) -> Any:
            if self._errors.get(name):
                raise self._errors[name].pop(0)
            return method(*args, **kwargs)

        return failing


class FakeExecutions:
    """Step Functions, as far as it knows windows: what was started, and what became of it."""

    def __init__(self) -> None:
        self.states: dict[str, ExecutionState] = {}
        self.starts: Counter[str] = Counter()

    def start(self, window: Window, suffix: str = "") -> None:
        name = window.execution_name + suffix
        self.starts[name] += 1
        self.states.setdefault(name, "running")

    def state(self, window: Window, suffix: str = "") -> ExecutionState:
        return self.states.get(window.execution_name + suffix, "absent")


class FakeEstate:
    """Instances of one account and Region, and the groups that they are in."""

    def __init__(self, instances: Iterable[Instance] = (), groups: Iterable[Group] = ()) -> None:
        self.all_instances = {i.id: i for i in instances}
        self.all_groups = {g.name: g for g in groups}
        self.all_parameters: dict[str, str] = {}
        self.all_target_groups: list[TargetGroup] = []
        self.reads: Counter[str] = Counter()

    def snapshot(self, instances: Collection[str], closely: Collection[str] = ()) -> Snapshot:
        self.reads["snapshot"] += 1
        found = {i: self.all_instances[i] for i in instances if i in self.all_instances}
        return Snapshot(found, self.groups({i.group for i in found.values() if i.group}))

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        return {name: self.all_groups[name] for name in names if name in self.all_groups}

    def parameters(self, names: Collection[str]) -> dict[str, str]:
        self.reads["parameters"] += 1
        return {name: self.all_parameters[name] for name in names if name in self.all_parameters}

    def target_groups(self, names: Collection[str]) -> dict[str, TargetGroup]:
        self.reads["target_groups"] += 1
        known = {key: each for each in self.all_target_groups for key in (each.name, each.arn)}
        return {name: known[name] for name in names if name in known}


def fleet(group: str, numbers: Iterable[int], **changes: Any) -> FakeEstate:
    """One group on Spot that opts in, with a target group and these instances in service."""
    members = [instance_id(number) for number in numbers]
    fields: dict[str, Any] = {
        "tags": {"signalbox:spot": "act"},
        "target_groups": (target_group(group),),
        "desired": len(members),
        "members": dict.fromkeys(members, "InService"),
    } | changes
    estate = FakeEstate(
        (
            Instance(id=i, state="running", lifecycle="spot", group=group, member_state="InService")
            for i in members
        ),
        [Group(name=group, **fields)],
    )
    estate.all_parameters[f"/signalbox/spot/{group}/commands"] = '{"shutdown": ["systemctl stop web"]}'
    return estate


class FakeAutoScaling:
    """Members of groups. Refuses as DetachInstances does: all or none, and only what is in service."""

    def __init__(self, members: Iterable[str] = (), group: str = "web") -> None:
        self.members: dict[str, tuple[str, str]] = dict.fromkeys(members, (group, "InService"))
        self.detached: list[str] = []
        self.calls: list[tuple[str, int]] = []

    def detach(self, group: str, instances: Sequence[str]) -> None:
        self.calls.append(("detach", len(instances)))
        if len(instances) > 20:
            raise RefusedError("ValidationError: List exceeds the maximum number of instances to detach.")
        for instance in instances:
            member_of, state = self.members.get(instance, ("", ""))
            if member_of != group:
                raise RefusedError(
                    f"ValidationError: The instance {instance} is not part of Auto Scaling group {group}."
                )
            if state != "InService":
                raise RefusedError(
                    f"ValidationError: The instance {instance} is not in InService or Standby."
                )
        for instance in instances:
            del self.members[instance]
            self.detached.append(instance)

    def member_states(self, instances: Sequence[str]) -> dict[str, tuple[str, str]]:
        self.calls.append(("member_states", len(instances)))
        return {i: self.members[i] for i in instances if i in self.members}


class FakeLoadBalancing:
    """Target groups by ARN, each with its targets."""

    def __init__(self, targets: dict[str, set[str]]) -> None:
        self.targets = targets

    def deregister(self, target_group: str, instances: Sequence[str]) -> None:
        if target_group not in self.targets:
            raise NotFoundError("TargetGroupNotFound: One or more target groups not found")
        if len(instances) > 100:
            raise RefusedError("ValidationError: more targets than one call may name")
        self.targets[target_group] -= set(instances)


class FakeRunCommand:
    """Systems Manager with these managed instances. A command goes to all of its instances or to none."""

    def __init__(self, managed: Iterable[str]) -> None:
        self.managed = set(managed)
        self.commands: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()

    def send(
        self,
        document: str,
        instances: Sequence[str],
        parameters: dict[str, list[str]],
        *,
        delivery_timeout: int,
        comment: str,
    ) -> str:
        self.calls["send"] += 1
        if not 1 <= len(instances) <= 50 or delivery_timeout < 30:
            raise RefusedError("ValidationException: InstanceIds or TimeoutSeconds out of range")
        if not self.managed.issuperset(instances):
            raise InvalidInstancesError("InvalidInstanceId: Instances not in a valid state for account")
        command_id = f"command-{len(self.commands)}"
        self.commands.append(
            {
                "id": command_id,
                "document": document,
                "instances": list(instances),
                "parameters": parameters,
                "comment": comment,
            }
        )
        return command_id

    def sent(self, document: str, comment: str) -> dict[str, list[str]]:
        self.calls["sent"] += 1
        return {
            command["id"]: command["instances"]
            for command in self.commands
            if (command["document"], command["comment"]) == (document, comment)
        }

    def reached(self) -> Counter[str]:
        """How often each instance got a command."""
        return Counter(instance for command in self.commands for instance in command["instances"])


class FakeEvidence:
    """What a look at the estate shows; counts the looks."""

    def __init__(self) -> None:
        self.all_groups: dict[str, Group] = {}
        self.targets: dict[str, dict[str, str]] = {}
        self.registered: dict[str, dict[str, str]] = {}
        self.invocations: dict[str, dict[str, str]] = {}
        self.containers: dict[str, list[ContainerInstance]] = {}
        self.looks: Counter[str] = Counter()

    def groups(self, names: Collection[str]) -> dict[str, Group]:
        if names:
            self.looks["groups"] += 1
        return {name: self.all_groups[name] for name in names if name in self.all_groups}

    def target_states(self, target_group: str, instances: Sequence[str]) -> dict[str, str]:
        self.looks["targets"] += 1
        known = self.targets.get(target_group, {})
        return {instance: known[instance] for instance in instances if instance in known}

    def registered_states(self, load_balancer: str, instances: Sequence[str]) -> dict[str, str]:
        self.looks["registered"] += 1
        known = self.registered.get(load_balancer, {})
        return {instance: known[instance] for instance in instances if instance in known}

    def invocation_states(
        self, document: str, commands: Collection[str], since: float, *, each: bool
    ) -> dict[str, str]:
        self.looks["invocations"] += 1
        return {i: status for id_ in commands for i, status in self.invocations.get(id_, {}).items()}

    def container_instances(self, cluster: str, instances: Sequence[str]) -> list[ContainerInstance]:
        self.looks["containers"] += 1
        if cluster not in self.containers:
            raise NotFoundError("ClusterNotFoundException: Cluster not found.")
        return [each for each in self.containers[cluster] if each.instance in instances]
