"""A storm met one warning at a time: a function for each, four AWS calls in each.

What it is: the shape of the common handlers (a rule whose target is a function), with what AWS gives them for
nothing: boto3's standard retries, and Lambda's two further tries of an event whose function failed, a minute
and two minutes later. A pool of workers stands for Lambda's concurrent executions, each with its own clients,
as an execution environment has. What has missed its deadline is left alone.
What it is not: anybody's own code. It checks nothing afterwards, keeps no account, tells nobody, and gives
no thought to groups that must not be touched.
"""

from __future__ import annotations

import heapq
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bench.estate import SHUTDOWN, commanded_in_time, look
from bench.notices import deadlines, spread
from bench.outcome import THEIRS, Outcome
from bench.prices import Usage
from local.settings import REGION
from signalbox.spot.notices import NOTICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.estate import Fleet, Guard
    from bench.shape import Bucket
    from local.embedded import EmbeddedAws

ROLE = "one-by-one"
ACTIONS = (
    "ec2:DescribeInstances",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DetachInstances",
    "ssm:SendCommand",
)
DOCUMENT = "AWS-RunShellScript"
SERVICES = ("ec2", "autoscaling", "ssm")
RETRIES_AFTER_SECONDS = (60.0, 120.0)
"""Lambda's waits before its second and third try of an asynchronous invocation ("How Lambda handles errors
and retries with asynchronous invocation")."""
MEMORY_GB = 0.125
IDLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True, order=True)
class Invocation:
    """One try at one warning, not before `due`."""

    due: float
    instance: str = field(compare=False)
    deadline: float = field(compare=False)
    tries_before: int = field(compare=False, default=0)


class DeadlineError(Exception):
    """It is too late."""


class Pool:
    """Workers that stand for concurrent executions of one function."""

    def __init__(self, clients: Sequence[Mapping[str, Any]]) -> None:
        self._condition = threading.Condition()
        self._waiting: list[Invocation] = []
        self._busy = 0
        self._closed = False
        self.detached: dict[str, float] = {}
        self.states: Counter[str] = Counter()
        self.invocations = 0
        self.seconds = 0.0
        self._threads = [threading.Thread(target=self._work, args=(own,), daemon=True) for own in clients]
        for thread in self._threads:
            thread.start()

    def take(self, instances: Sequence[str], now: float) -> None:
        """Hears of warnings."""
        with self._condition:
            for instance in instances:
                heapq.heappush(self._waiting, Invocation(now, instance, int(now) + NOTICE_SECONDS))
            self._condition.notify_all()

    def wait(self) -> None:
        """Until nothing is left to do, or worth doing."""
        with self._condition:
            self._condition.wait_for(lambda: not self._waiting and not self._busy)

    def close(self) -> None:
        """Ends the workers; what is under way is finished."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, clients: Mapping[str, Any]) -> None:
        while (invocation := self._next()) is not None:
            began = time.time()
            try:
                self._handle(invocation, clients)
            except DeadlineError:
                self._done(invocation, "late", began)
            except (BotoCoreError, ClientError) as error:
                self._done(invocation, f"failed: {_code(error)}", began, again=True)
            else:
                self._done(invocation, "done", began)

    def _next(self) -> Invocation | None:
        with self._condition:
            while not self._closed:
                now = time.time()
                if self._waiting and self._waiting[0].due <= now:
                    self._busy += 1
                    return heapq.heappop(self._waiting)
                self._condition.wait(IDLE_SECONDS)
            return None

    def _done(self, invocation: Invocation, state: str, began: float, *, again: bool = False) -> None:
        with self._condition:
            self._busy -= 1
            if state != "late" or began < invocation.deadline:
                self.invocations += 1
                self.seconds += time.time() - began
            after = next_try(invocation, time.time()) if again else None
            if after:
                heapq.heappush(self._waiting, after)
            else:
                self.states[state] += 1
            self._condition.notify_all()

    def _handle(self, invocation: Invocation, clients: Mapping[str, Any]) -> None:
        def in_time() -> None:
            if time.time() >= invocation.deadline:
                raise DeadlineError

        ids = [invocation.instance]
        in_time()
        clients["ec2"].describe_instances(InstanceIds=ids)
        in_time()
        members = clients["autoscaling"].describe_auto_scaling_instances(InstanceIds=ids)[
            "AutoScalingInstances"
        ]
        for member in members:  # none any more where an earlier try has come this far
            in_time()
            clients["autoscaling"].detach_instances(
                AutoScalingGroupName=member["AutoScalingGroupName"],
                InstanceIds=ids,
                ShouldDecrementDesiredCapacity=False,
            )
            self.detached[invocation.instance] = time.time()
        in_time()
        clients["ssm"].send_command(
            DocumentName=DOCUMENT,
            InstanceIds=ids,
            Parameters={"commands": list(SHUTDOWN)},
            TimeoutSeconds=30,
        )


def next_try(invocation: Invocation, now: float) -> Invocation | None:
    """What Lambda does with an event whose function failed; None where that is past the deadline."""
    if invocation.tries_before >= len(RETRIES_AFTER_SECONDS):
        return None
    due = now + RETRIES_AFTER_SECONDS[invocation.tries_before]
    if due >= invocation.deadline:
        return None
    return Invocation(due, invocation.instance, invocation.deadline, invocation.tries_before + 1)


def _code(error: BotoCoreError | ClientError) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


@dataclass(frozen=True, slots=True)
class OneByOne:
    """The pool's role on an embedded AWS."""

    aws: EmbeddedAws
    guard: Guard
    workers: int
    credentials: Mapping[str, str]

    @classmethod
    def prepare(cls, aws: EmbeddedAws, guard: Guard, workers: int) -> OneByOne:
        """Makes a role that may do the four calls, and takes it."""
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam = aws.client("iam")
        arn = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        allowed = {"Effect": "Allow", "Action": list(ACTIONS), "Resource": "*"}
        iam.put_role_policy(RoleName=ROLE, PolicyName="least", PolicyDocument=_policy(allowed))
        session = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName=ROLE)["Credentials"]
        return cls(aws, guard, workers, session)

    def meet(self, fleet: Fleet, bucket: Bucket) -> Outcome:
        """Warns of every member of the fleet, and waits until nothing is left to do or worth doing."""
        warned = [instance for members in fleet.members().values() for instance in members]
        pool = Pool(self._clients())
        try:
            self.guard.begin(bucket)
            noticed = spread(warned, pool.take)
            pool.wait()
        finally:
            pool.close()
        seconds = time.time() - min(noticed.values())
        calls = self.guard.calls()
        ends = deadlines(noticed)
        with self.guard.unlimited():
            evidence = look(self.aws, fleet.target_groups, noticed)
            commanded = commanded_in_time(self.aws, DOCUMENT, ends)
        return Outcome(
            algorithm=THEIRS,
            instances=len(warned),
            bucket=bucket,
            calls=calls.made,
            throttled=calls.throttled,
            refused=calls.refused,
            detached=len(evidence.detached),
            drained=len(evidence.drained),
            commanded=len(commanded),
            waits=[at - noticed[instance] for instance, at in pool.detached.items()],
            seconds=seconds,
            states=pool.states,
            usage=Usage(invocations=pool.invocations, gb_seconds=pool.seconds * MEMORY_GB),
        )

    def _clients(self) -> list[dict[str, Any]]:
        """Of each worker its own, as each execution environment of a function has: with its retry quota."""
        session = boto3.Session(
            self.credentials["AccessKeyId"],
            self.credentials["SecretAccessKey"],
            self.credentials["SessionToken"],
            region_name=REGION,
        )
        config = Config(retries={"mode": "standard"}, connect_timeout=10, read_timeout=60)
        return [
            {
                service: session.client(service, endpoint_url=self.aws.estate_url, config=config)  # type: ignore[call-overload] # the stubs list each service's literal
                for service in SERVICES
            }
            for _ in range(self.workers)
        ]


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
