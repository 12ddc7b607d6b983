"""An estate behind its guard, in this process, with a clock to move: what the guard's tests run against."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend

from local.estate.authorization import Authorization
from local.estate.guard import Guard
from local.estate.semantics import aws_semantics
from local.estate.server import estate_server, moto_application
from local.settings import ACCESS_KEY, HOST, REGION, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.estate.guard import Application
    from local.estate.stored import Storage
    from local.identity import IdentitySource

# One attempt, so that a fault is seen and counted once; parameters go out unchecked, so that AWS's own check
# is what a test meets.
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, parameter_validation=False)

# One of moto's own.
IMAGE = "ami-12c6146b"


@dataclass
class MovedClock:
    """Seconds that pass when told to; also a sleep that takes no time."""

    now: float = 1_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Fleet:
    """A group of Spot instances behind a target group."""

    group: str
    target_group: str
    instances: list[str]


@dataclass
class GuardedEstate:
    """The estate's address, its clock, and clients that are closed with it."""

    url: str
    clock: MovedClock
    resources: ExitStack

    def client(self, service: str, access_key: str = ACCESS_KEY, region: str = REGION) -> Any:
        client = boto3.client(  # type: ignore[call-overload]  # any service, not a literal one
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=SECRET_KEY,
            config=ONE_ATTEMPT,
        )
        self.resources.callback(client.close)
        return client

    def ask(self, method: str, door: str, document: object = None) -> requests.Response:
        return requests.request(method, f"{self.url}/_guard/{door}", json=document, timeout=10)

    def calls(self) -> dict[str, Any]:
        counts: dict[str, Any] = self.ask("GET", "calls").json()
        return counts

    def order_fault(self, operation: str, fault: str, **fields: Any) -> None:
        answer = self.ask("POST", "faults", {"operation": operation, "fault": fault, **fields})
        assert answer.status_code == 200, answer.text

    def limit(self, **limits: Any) -> None:
        answer = self.ask("POST", "limits", limits)
        assert answer.status_code == 200, answer.text

    def fleet(self, size: int, name: str = "web", **group: Any) -> Fleet:
        """Built as root, uncounted: the guard is reset afterwards."""
        ec2, balancing, scaling = (self.client(one) for one in ("ec2", "elbv2", "autoscaling"))
        subnet = ec2.describe_subnets()["Subnets"][0]
        ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "m5.large"}
        )
        target_group = balancing.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId=subnet["VpcId"], TargetType="instance"
        )["TargetGroups"][0]["TargetGroupArn"]
        usual = {"VPCZoneIdentifier": subnet["SubnetId"], "MixedInstancesPolicy": spot_policy(name)}
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=100,
            DesiredCapacity=size,
            TargetGroupARNs=[target_group],
            **(usual | group),
        )
        found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        self.ask("POST", "reset")
        return Fleet(name, target_group, [one["InstanceId"] for one in found["Instances"]])

    def health(self, fleet: Fleet, *instances: str) -> dict[str, str]:
        """The state of the targets named, or of all the group lists."""
        asked = {"Targets": [{"Id": one} for one in instances]} if instances else {}
        found = self.client("elbv2").describe_target_health(TargetGroupArn=fleet.target_group, **asked)
        return {
            one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found["TargetHealthDescriptions"]
        }

    def members(self, fleet: Fleet) -> list[str]:
        found = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[fleet.group])
        return [one["InstanceId"] for one in found["AutoScalingGroups"][0]["Instances"]]

    def detach(self, fleet: Fleet, *instances: str) -> None:
        self.client("autoscaling").detach_instances(
            AutoScalingGroupName=fleet.group,
            InstanceIds=list(instances),
            ShouldDecrementDesiredCapacity=False,
        )


def spot_policy(template: str, base: int = 0, percentage: int = 0) -> dict[str, Any]:
    """A mixed instances policy of so much On-Demand and the rest on Spot."""
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": "$Latest"},
            "Overrides": [{"InstanceType": "m5.large"}, {"InstanceType": "m5a.large"}],
        },
        "InstancesDistribution": {
            "OnDemandBaseCapacity": base,
            "OnDemandPercentageAboveBaseCapacity": percentage,
        },
    }


@cache
def moto() -> Application:
    """Built once: its parts take a second to load."""
    return moto_application()


@contextmanager
def guarded_estate(
    source: IdentitySource | None = None, storage: Storage | None = None
) -> Iterator[GuardedEstate]:
    """A fresh estate on a free port; with a source, calls are held to their callers' roles."""
    clock = MovedClock()
    authorization = Authorization(source, clock=clock) if source else None
    guard = Guard(moto(), authorization, clock=clock, sleep=clock.sleep)
    moto_api_backend.reset()
    with aws_semantics(clock, storage), estate_server(0, guard) as server, ExitStack() as resources:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield GuardedEstate(f"http://{HOST}:{server.port}", clock, resources)
        finally:
            resources.close()
            server.shutdown()
            thread.join()
