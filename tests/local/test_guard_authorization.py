"""Calls are held to their caller's role: allowed, denied, unknown; and on what, under which conditions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.estate.authorization import CACHE_SECONDS
from local.identity import Principal
from local.settings import ACCOUNT, REGION
from tests.local.guarded_estate import GuardedEstate, guarded_estate

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "ASIAWORKER0000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/detacher"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/detacher/SpotDetachInstances"


@dataclass
class StubIdentity:
    """One worker with one role; counts how often it is asked."""

    statements: list[dict[str, Any]] = field(default_factory=list)
    known: bool = True
    asked: int = 0
    principals: dict[str, Principal] = field(default_factory=lambda: {KEY: Principal(SESSION, ROLE, ACCOUNT)})

    def principal(self, access_key: str) -> Principal | None:
        self.asked += 1
        return self.principals.get(access_key) if self.known else None

    def policies(self, principal: Principal) -> list[str]:
        assert principal in self.principals.values()
        return [json.dumps({"Version": "2012-10-17", "Statement": self.statements})]

    def allow(self, action: str, resource: object = "*", **conditions: Any) -> None:
        self._say("Allow", action, resource, conditions)

    def deny(self, action: str, resource: object = "*", **conditions: Any) -> None:
        self._say("Deny", action, resource, conditions)

    def _say(self, effect: str, action: str, resource: object, conditions: dict[str, Any]) -> None:
        statement = {"Effect": effect, "Action": action, "Resource": resource, "Condition": conditions}
        self.statements.append(statement)


@pytest.fixture
def identity() -> StubIdentity:
    return StubIdentity()


@pytest.fixture
def estate(identity: StubIdentity) -> Iterator[GuardedEstate]:
    with guarded_estate(identity) as estate:
        yield estate


def code_of(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


def detach(estate: GuardedEstate, group: str, *instances: str) -> None:
    estate.client("autoscaling", KEY).detach_instances(
        AutoScalingGroupName=group, InstanceIds=list(instances), ShouldDecrementDesiredCapacity=False
    )


def test_root_may_do_everything(estate: GuardedEstate, identity: StubIdentity) -> None:
    estate.client("ec2").describe_vpcs()
    estate.client("ec2", ACCOUNT).describe_vpcs()
    assert identity.asked == 0


def test_what_the_role_allows_is_done(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.allow("ec2:DescribeVpcs")
    assert estate.client("ec2", KEY).describe_vpcs()["Vpcs"]


@pytest.mark.parametrize(
    ("service", "method", "action", "code", "status"),
    [
        ("ec2", "describe_vpcs", "ec2:DescribeVpcs", "UnauthorizedOperation", 403),
        ("autoscaling", "describe_tags", "autoscaling:DescribeTags", "AccessDenied", 403),
        (
            "elbv2",
            "describe_load_balancers",
            "elasticloadbalancing:DescribeLoadBalancers",
            "AccessDenied",
            403,
        ),
        ("ssm", "list_commands", "ssm:ListCommands", "AccessDeniedException", 400),
        ("ecs", "list_clusters", "ecs:ListClusters", "AccessDeniedException", 400),
    ],
)
def test_what_it_doesnt_is_refused_naming_who_and_what(
    estate: GuardedEstate, service: str, method: str, action: str, code: str, status: int
) -> None:
    with pytest.raises(ClientError) as refusal:
        getattr(estate.client(service, KEY), method)()
    assert code_of(refusal) == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    message = refusal.value.response["Error"]["Message"]
    assert f"User: {SESSION} is not authorized to perform: {action}" in message
    assert "no identity-based policy allows" in message
    assert estate.calls()["refused"] == {action: 1}


def test_an_explicit_deny_wins_and_says_so(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.allow("*")
    identity.deny("ec2:DescribeVpcs")
    with pytest.raises(ClientError, match="with an explicit deny"):
        estate.client("ec2", KEY).describe_vpcs()


@pytest.mark.parametrize(
    ("service", "method", "code"),
    [
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("autoscaling", "describe_tags", "InvalidClientTokenId"),
        ("ssm", "list_commands", "UnrecognizedClientException"),
    ],
)
def test_an_unknown_key_is_refused(estate: GuardedEstate, service: str, method: str, code: str) -> None:
    with pytest.raises(ClientError) as refusal:
        getattr(estate.client(service, "AKIASTRANGER00000000"), method)()
    assert code_of(refusal) == code


def test_a_refused_detach_has_no_effect(estate: GuardedEstate) -> None:
    fleet = estate.fleet(1)
    with pytest.raises(ClientError, match=f"autoScalingGroupName/{fleet.group}"):
        detach(estate, fleet.group, *fleet.instances)
    assert estate.members(fleet) == fleet.instances


def test_a_group_is_allowed_by_its_arn(estate: GuardedEstate, identity: StubIdentity) -> None:
    web, other = estate.fleet(1), estate.fleet(1, "other")
    arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/web"
    identity.allow("autoscaling:DetachInstances", arn)
    detach(estate, web.group, *web.instances)
    with pytest.raises(ClientError, match="AccessDenied"):
        detach(estate, other.group, *other.instances)


@pytest.mark.parametrize("key", ["aws:ResourceTag", "autoscaling:ResourceTag"])
def test_a_group_is_allowed_by_its_tags(estate: GuardedEstate, identity: StubIdentity, key: str) -> None:
    tagged = estate.fleet(1, Tags=[{"Key": "signalbox:spot", "Value": "act"}])
    untagged = estate.fleet(1, "other")
    identity.allow("autoscaling:DetachInstances", StringEquals={f"{key}/signalbox:spot": "act"})
    detach(estate, tagged.group, *tagged.instances)
    with pytest.raises(ClientError, match="AccessDenied"):
        detach(estate, untagged.group, *untagged.instances)


def test_a_target_group_is_allowed_by_its_arn(estate: GuardedEstate, identity: StubIdentity) -> None:
    web, other = estate.fleet(1), estate.fleet(1, "other")
    identity.allow("elasticloadbalancing:DeregisterTargets", web.target_group)
    balancing = estate.client("elbv2", KEY)
    targets = [{"Id": web.instances[0]}]
    balancing.deregister_targets(TargetGroupArn=web.target_group, Targets=targets)
    with pytest.raises(ClientError, match="AccessDenied"):
        balancing.deregister_targets(TargetGroupArn=other.target_group, Targets=targets)


def test_a_command_needs_its_document_and_each_instance(
    estate: GuardedEstate, identity: StubIdentity
) -> None:
    fleet = estate.fleet(2)
    first, second = fleet.instances
    document = f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/signalbox-drain"
    tags = [{"Key": "signalbox:spot", "Value": "act"}]
    estate.client("ec2").create_tags(Resources=[first], Tags=tags)
    ssm = estate.client("ssm", KEY)
    condition = {"StringEquals": {"ssm:resourceTag/signalbox:spot": "act"}}
    identity.allow("ssm:SendCommand", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*", **condition)
    with pytest.raises(ClientError, match="document/signalbox-drain"):
        ssm.send_command(DocumentName="signalbox-drain", InstanceIds=[first])
    identity.allow("ssm:SendCommand", document)
    estate.ask("POST", "reset")
    with pytest.raises(ClientError, match=f"instance/{second}"):
        ssm.send_command(DocumentName="signalbox-drain", InstanceIds=fleet.instances)
    assert ssm.send_command(DocumentName="signalbox-drain", InstanceIds=[first])["Command"]


def test_parameters_are_allowed_by_their_path(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.allow("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/signalbox/spot/*")
    ssm = estate.client("ssm", KEY)
    ssm.get_parameters(Names=["/signalbox/spot/web/commands"])
    with pytest.raises(ClientError, match="parameter/other"):
        ssm.get_parameters(Names=["/signalbox/spot/web/commands", "/other"])


def test_container_instances_are_allowed_by_their_cluster(
    estate: GuardedEstate, identity: StubIdentity
) -> None:
    identity.allow(
        "ecs:DescribeContainerInstances", f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/web/*"
    )
    root, ecs = estate.client("ecs"), estate.client("ecs", KEY)
    root.create_cluster(clusterName="web")
    document = json.dumps({"instanceId": estate.fleet(1).instances[0]})
    registered = root.register_container_instance(cluster="web", instanceIdentityDocument=document)
    arn = registered["containerInstance"]["containerInstanceArn"]
    assert ecs.describe_container_instances(cluster="web", containerInstances=[arn])["containerInstances"]
    with pytest.raises(ClientError, match="container-instance/other/a1"):
        ecs.describe_container_instances(cluster="other", containerInstances=["a1"])


def test_classic_load_balancers_are_allowed_by_their_names(
    estate: GuardedEstate, identity: StubIdentity
) -> None:
    action = "elasticloadbalancing:DeregisterInstancesFromLoadBalancer"
    identity.allow(action, f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/mine-*")
    elb = estate.client("elb", KEY)
    for name, refusal in (("mine-1", "LoadBalancerNotFound"), ("theirs", "AccessDenied")):
        with pytest.raises(ClientError, match=refusal):
            elb.deregister_instances_from_load_balancer(
                LoadBalancerName=name, Instances=[{"InstanceId": "i-00000000000000000"}]
            )


def test_a_region_can_be_a_condition(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.allow("ec2:DescribeVpcs", StringEquals={"aws:RequestedRegion": "eu-west-1"})
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        estate.client("ec2", KEY).describe_vpcs()


def test_answers_are_remembered_for_a_while(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.allow("ec2:DescribeVpcs")
    ec2 = estate.client("ec2", KEY)
    for _ in range(5):
        ec2.describe_vpcs()
    assert identity.asked == 1
    estate.clock.now += CACHE_SECONDS
    ec2.describe_vpcs()
    assert identity.asked == 2


def test_a_reset_forgets_them(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.allow("ec2:DescribeVpcs")
    ec2 = estate.client("ec2", KEY)
    ec2.describe_vpcs()
    identity.statements.clear()
    ec2.describe_vpcs()
    estate.ask("POST", "reset")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_vpcs()
    identity.known = False
    estate.ask("POST", "reset")
    with pytest.raises(ClientError, match="AuthFailure"):
        ec2.describe_vpcs()


def test_a_refused_call_draws_no_token_and_meets_no_fault(estate: GuardedEstate) -> None:
    estate.limit(ssm={"size": 1, "refill": 0.01})
    estate.order_fault("ssm:ListCommands", "error")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        estate.client("ssm", KEY).list_commands()
    assert len(estate.ask("GET", "faults").json()["faults"]) == 1
    estate.ask("DELETE", "faults")
    assert estate.client("ssm").list_commands()["Commands"] == []


OTHER_ACCOUNT, OTHER_REGION = "444455556666", "eu-west-1"
MEMBER_KEY = "ASIAMEMBER0000000000"
MEMBER = Principal(
    f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/signalbox-spot-estate/hub",
    f"arn:aws:iam::{OTHER_ACCOUNT}:role/signalbox-spot-estate",
    OTHER_ACCOUNT,
)


def vpcs(estate: GuardedEstate, key: str, region: str = REGION) -> set[str]:
    return {vpc["VpcId"] for vpc in estate.client("ec2", key, region).describe_vpcs()["Vpcs"]}


def test_each_account_and_region_has_an_estate_of_its_own(
    estate: GuardedEstate, identity: StubIdentity
) -> None:
    """That of the session's account for a session, that of the account for its root."""
    identity.allow("ec2:*")
    identity.principals[MEMBER_KEY] = MEMBER
    made = estate.client("ec2", MEMBER_KEY, OTHER_REGION).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    places = [(key, region) for key in (ACCOUNT, KEY, OTHER_ACCOUNT) for region in (REGION, OTHER_REGION)]
    assert [place for place in places if made in vpcs(estate, *place)] == [(OTHER_ACCOUNT, OTHER_REGION)]


def test_a_condition_on_the_region_holds_for_a_role_of_another_account(
    estate: GuardedEstate, identity: StubIdentity
) -> None:
    identity.principals[MEMBER_KEY] = MEMBER
    identity.allow("ec2:DescribeVpcs", StringEquals={"aws:RequestedRegion": [OTHER_REGION]})
    assert vpcs(estate, MEMBER_KEY, OTHER_REGION)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        vpcs(estate, MEMBER_KEY)


def test_a_document_belongs_to_the_callers_account(estate: GuardedEstate, identity: StubIdentity) -> None:
    identity.principals[MEMBER_KEY] = MEMBER
    document = "signalbox-prod-spot-command"
    identity.allow("ssm:SendCommand", f"arn:aws:ssm:{REGION}:{OTHER_ACCOUNT}:document/{document}")
    refused = {}
    for key in (KEY, MEMBER_KEY):
        with pytest.raises(ClientError) as refusal:
            estate.client("ssm", key).send_command(DocumentName=document, InstanceIds=["i-0123456789abcdef0"])
        refused[key] = str(refusal.value)
    assert f"on resource: arn:aws:ssm:{REGION}:{ACCOUNT}:document/{document}" in refused[KEY]
    assert f"on resource: arn:aws:ec2:{REGION}:{OTHER_ACCOUNT}:instance/" in refused[MEMBER_KEY]
