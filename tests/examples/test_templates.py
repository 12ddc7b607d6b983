"""What all the example templates must hold to, and the two fleets: tags, draining, instances."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import boto3
import pytest
from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped] # ships no types
from moto import mock_aws

from signalbox.spot.aws_estate import AwsAutoScaling
from signalbox.spot.commands import parameter_name, parse_commands
from signalbox.spot.configuration import ECS_TAG, MODE_TAG, MODES, mode_of
from signalbox.spot.estate import Group
from signalbox.spot.notices import NOTICE_SECONDS
from tests.examples.example_templates import (
    ECS_ON_SPOT,
    EXAMPLE_TEMPLATES,
    EXAMPLES,
    WEB_FLEET,
    Example,
    Node,
    attributes,
    spelled,
    tags,
)

FLEETS = [WEB_FLEET, ECS_ON_SPOT]
REGIONS = ["us-east-1", "eu-west-1"]
COMMAND_LEAD_SECONDS = 30
PREFIX = "/signalbox/spot"
SECTIONS = ["Deploy", "Try", "Remove", "Cost"]


def name(example: Example) -> str:
    return example.name


def test_every_template_is_tested() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/template.yaml")} == {
        example.name for example in EXAMPLE_TEMPLATES
    }


@pytest.mark.parametrize("example", EXAMPLE_TEMPLATES, ids=name)
class TestEveryTemplate:
    def test_cfn_lint_finds_nothing(self, example: Example) -> None:
        config = ManualArgs(regions=REGIONS, include_checks=["I"])
        assert [str(match) for match in lint(example.text, config=config)] == []

    def test_a_wildcard_has_its_reason_above_it(self, example: Example) -> None:
        def is_wildcard(node: Node) -> bool:
            if node.get("CidrIp") == "0.0.0.0/0":
                return True
            values = [node.get("Action"), node.get("Resource")] if "Effect" in node else []
            flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
            return any(isinstance(v, str) and (v == "*" or v.endswith(":*")) for v in flat)

        for node in example.mappings(is_wildcard):
            assert len(example.comment_above(node).split()) >= 3, spelled(node)

    def test_nobody_is_allowed_every_action(self, example: Example) -> None:
        """But a key's own account, without which nobody could ever administer it again."""
        allowed = example.mappings(
            lambda node: node.get("Effect") == "Allow" and node.get("Sid") != "AdministerThroughIam"
        )
        assert not [s for s in allowed if re.search(r'"Action": "?[^\]}]*\*', spelled(s))]

    def test_every_permission_of_a_role_has_its_reason_above_it(self, example: Example) -> None:
        for role in example.resources("AWS::IAM::Role").values():
            for policy in role["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    assert len(example.comment_above(statement).split()) >= 2, statement["Sid"]

    def test_the_readme_says_what_a_reader_asks(self, example: Example) -> None:
        headings = re.findall(r"^## (.+)$", example.readme, re.MULTILINE)
        assert [heading for heading in headings if heading in SECTIONS] == SECTIONS

    def test_the_readme_deploys_with_parameters_that_exist_and_all_that_are_required(
        self, example: Example
    ) -> None:
        declared = example.template["Parameters"]
        required = {key for key, parameter in declared.items() if "Default" not in parameter}
        commands = re.findall(r"aws cloudformation deploy(?:.*\\\n)*.*", example.readme)
        assert commands
        for command in commands:
            given = set(re.findall(r"\b([A-Z]\w+)=", command))
            assert given <= set(declared)
            assert required <= given


@pytest.mark.parametrize("example", FLEETS, ids=name)
class TestEveryFleet:
    def test_the_group_says_how_it_is_treated_and_observe_is_the_default(self, example: Example) -> None:
        parameter = example.template["Parameters"]["SpotMode"]
        assert parameter["Default"] == "observe"
        assert sorted(parameter["AllowedValues"]) == sorted(MODES)
        # A propagated tag would go before a later change of the group's.
        assert tags(example.properties("Group"))[MODE_TAG] == ({"Ref": "SpotMode"}, False)

    def test_all_but_the_base_is_spot_from_several_pools(self, example: Example) -> None:
        policy = example.properties("Group")["MixedInstancesPolicy"]
        distribution = policy["InstancesDistribution"]
        assert distribution["OnDemandBaseCapacity"] == {"Ref": "OnDemandBaseCapacity"}
        assert distribution["OnDemandPercentageAboveBaseCapacity"] == 0
        assert distribution["SpotAllocationStrategy"] == {"Ref": "SpotAllocationStrategy"}
        assert example.template["Parameters"]["SpotAllocationStrategy"]["AllowedValues"] == [
            "capacity-optimized",
            "price-capacity-optimized",
        ]
        kinds = [override["InstanceType"] for override in policy["LaunchTemplate"]["Overrides"]]
        assert len(set(kinds)) == len(kinds) >= 6
        assert example.template["Parameters"]["InstanceSubnetIds"]["Type"].startswith("List<")

    def test_the_group_leaves_the_replacing_to_signalbox(self, example: Example) -> None:
        assert example.properties("Group")["CapacityRebalance"] is False

    def test_instances_have_imdsv2_encrypted_volumes_and_systems_manager(self, example: Example) -> None:
        data = example.properties("LaunchTemplate")["LaunchTemplateData"]
        assert data["MetadataOptions"] == {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        }
        assert [device["Ebs"]["Encrypted"] for device in data["BlockDeviceMappings"]] == [True]
        assert data["IamInstanceProfile"] == {"Arn": {"Fn::GetAtt": ["InstanceProfile", "Arn"]}}
        assert example.properties("InstanceProfile")["Roles"] == [{"Ref": "InstanceRole"}]
        policies = example.properties("InstanceRole")["ManagedPolicyArns"]
        assert any(
            policy["Fn::Sub"].endswith(":iam::aws:policy/AmazonSSMManagedInstanceCore") for policy in policies
        )

    def test_replacements_get_the_requests_they_can_take(self, example: Example) -> None:
        found = attributes(example.properties("TargetGroup"))
        assert found["load_balancing.algorithm.type"] == "least_outstanding_requests"

    def test_only_the_load_balancer_reaches_an_instance(self, example: Example) -> None:
        assert "SecurityGroupIngress" not in example.properties("InstanceSecurityGroup")
        ingress = example.resources("AWS::EC2::SecurityGroupIngress")
        assert [rule["Properties"]["SourceSecurityGroupId"] for rule in ingress.values()] == [
            {"Fn::GetAtt": ["LoadBalancerSecurityGroup", "GroupId"]}
        ]


class TestWebFleet:
    def test_draining_is_over_when_the_commands_start(self) -> None:
        delay = attributes(WEB_FLEET.properties("TargetGroup"))["deregistration_delay.timeout_seconds"]
        assert delay == "90"
        assert int(delay) <= NOTICE_SECONDS - COMMAND_LEAD_SECONDS

    def test_its_commands_lie_where_signalbox_looks_and_make_sense(self) -> None:
        parameter = WEB_FLEET.properties("Commands")
        assert parameter["Type"] == "String"
        assert parameter["Name"] == {"Fn::Sub": f"{PREFIX}/${{GroupName}}/commands"}
        # As a plain string: cfn-lint's own remembers its line.
        commands = parse_commands("commands", str(parameter["Value"]))
        assert "systemctl stop web" in (commands.shutdown or ())
        assert commands.timeout_seconds < COMMAND_LEAD_SECONDS
        assert "/etc/systemd/system/web.service" in spelled(WEB_FLEET.properties("LaunchTemplate"))

    @pytest.mark.parametrize("group", ["web", "A-1", "w", "x" * 24])
    def test_every_name_it_takes_is_one_for_parameter_store(self, group: str) -> None:
        parameter = WEB_FLEET.template["Parameters"]["GroupName"]
        assert re.fullmatch(parameter["AllowedPattern"], group)
        assert parameter_name(PREFIX, group)

    @pytest.mark.parametrize("group", ["", "-web", "web-", "web/1", "web 1", "wëb"])
    def test_a_name_that_would_not_do_is_refused(self, group: str) -> None:
        assert not re.fullmatch(WEB_FLEET.template["Parameters"]["GroupName"]["AllowedPattern"], group)

    def test_scaling_on_requests_is_optional(self) -> None:
        policy = WEB_FLEET.template["Resources"]["ScalingPolicy"]
        assert policy["Condition"] == "Scales"
        tracking = policy["Properties"]["TargetTrackingConfiguration"]
        assert tracking["TargetValue"] == {"Ref": "RequestsPerTargetPerMinute"}
        assert tracking["PredefinedMetricSpecification"]["PredefinedMetricType"] == "ALBRequestCountPerTarget"
        assert WEB_FLEET.template["Parameters"]["RequestsPerTargetPerMinute"]["Default"] == 0


class TestEcsOnSpot:
    def test_its_group_names_its_cluster(self) -> None:
        found = tags(ECS_ON_SPOT.properties("Group"))
        assert found[ECS_TAG] == ({"Ref": "Cluster"}, False)

    def test_whether_the_agent_drains_too_is_a_parameter(self) -> None:
        script = ECS_ON_SPOT.properties("LaunchTemplate")["LaunchTemplateData"]["UserData"]
        lines = script["Fn::Base64"]["Fn::Sub"].splitlines()
        assert "ECS_CLUSTER=${Cluster}" in lines
        assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=${AgentDrains}" in lines

    def test_draining_and_stopping_are_over_before_the_commands_start(self) -> None:
        delay = attributes(ECS_ON_SPOT.properties("TargetGroup"))["deregistration_delay.timeout_seconds"]
        containers = ECS_ON_SPOT.properties("TaskDefinition")["ContainerDefinitions"]
        longest = max(container["StopTimeout"] for container in containers)
        assert int(delay) + longest <= NOTICE_SECONDS - COMMAND_LEAD_SECONDS

    def test_a_task_may_stop_before_its_replacement_runs(self) -> None:
        assert ECS_ON_SPOT.properties("Service")["DeploymentConfiguration"]["MinimumHealthyPercent"] < 100

    def test_the_service_runs_on_the_capacity_provider_of_the_group(self) -> None:
        provider = ECS_ON_SPOT.properties("CapacityProvider")["AutoScalingGroupProvider"]
        assert provider["AutoScalingGroupArn"] == {"Ref": "Group"}
        assert ECS_ON_SPOT.properties("CapacityProviders")["CapacityProviders"] == [
            {"Ref": "CapacityProvider"}
        ]
        strategy = ECS_ON_SPOT.properties("Service")["CapacityProviderStrategy"]
        assert [item["CapacityProvider"] for item in strategy] == [{"Ref": "CapacityProvider"}]


@pytest.fixture
def account() -> Iterator[None]:
    """An empty AWS account: moto, in this process."""
    with mock_aws():
        yield


def deployed(example: Example, **parameters: str) -> dict[str, str]:
    """Creates the example's stack in the default VPC; its outputs."""
    ec2 = boto3.client("ec2", "us-east-1")
    subnets = ",".join(subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:3])
    given = {
        "VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        "InstanceSubnetIds": subnets,
        "LoadBalancerSubnetIds": subnets,
        "ClientCidr": "10.0.0.0/8",
    } | parameters
    cloudformation = boto3.client("cloudformation", "us-east-1")
    cloudformation.create_stack(
        StackName=example.name,
        TemplateBody=example.text,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    stack = cloudformation.describe_stacks(StackName=example.name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def group_of(example: Example, **parameters: str) -> tuple[Group, dict[str, str]]:
    """Deploys the example; its group as Signalbox reads it, and the stack's outputs."""
    outputs = deployed(example, **parameters)
    name = outputs["GroupName"]
    return AwsAutoScaling(boto3.client("autoscaling", "us-east-1")).groups([name])[name], outputs


@pytest.mark.usefixtures("account")
@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto:UserWarning")
class TestDeployed:
    """On moto's CloudFormation, read as Signalbox reads it."""

    @pytest.mark.parametrize("mode", MODES)
    def test_signalbox_finds_the_web_fleet_as_it_is_meant(self, mode: str) -> None:
        group, outputs = group_of(WEB_FLEET, GroupName="shop", SpotMode=mode)
        assert group.name == "shop"
        assert group.target_groups == (outputs["TargetGroupArn"],)
        assert not group.capacity_rebalance
        assert len(group.members) == 2
        found, _ = mode_of({}, "shop", group.tags, "ignore", dry_run=False)
        assert found == mode

    def test_an_instance_has_no_mode_of_its_own(self) -> None:
        group, _ = group_of(WEB_FLEET, SpotMode="act")
        ec2 = boto3.client("ec2", "us-east-1")
        found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": list(group.members)}])["Tags"]
        assert {tag["Key"] for tag in found} >= {"Name", "aws:autoscaling:groupName"}
        assert MODE_TAG not in {tag["Key"] for tag in found}

    def test_signalbox_finds_the_web_fleets_commands(self) -> None:
        deployed(WEB_FLEET, GroupName="shop")
        place = parameter_name(PREFIX, "shop")
        assert place is not None
        found = boto3.client("ssm", "us-east-1").get_parameter(Name=place)["Parameter"]
        assert parse_commands(place, found["Value"]).shutdown

    def test_a_container_instance_joins_the_cluster_that_its_group_names(self) -> None:
        group, _ = group_of(ECS_ON_SPOT, ClusterName="orders", AgentDrains="false")
        assert group.tags[ECS_TAG] == "orders"
        ec2 = boto3.client("ec2", "us-east-1")
        versions = ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
        scripts = [base64.b64decode(v["LaunchTemplateData"]["UserData"]).decode() for v in versions]
        assert len(scripts) == 1
        assert "ECS_CLUSTER=orders\nECS_ENABLE_SPOT_INSTANCE_DRAINING=false\n" in scripts[0]
