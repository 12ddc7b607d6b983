"""Answers as AWS words them, field for field, for boto3 to parse: what parsing costs, without an estate.

They are put in by botocore's `before-send` event, so that a request is built, signed and sent as far as the
socket, and its answer parsed as one from the wire. The fields are those of AWS's own samples for a Spot
instance of a group in a VPC; the ids are as long as AWS's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from bench.floor import FILTER_CAP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.awsrequest import AWSPreparedRequest

TAGS = {
    "Name": "web",
    "aws:ec2launchtemplate:id": "lt-0a20c965061f64abc",
    "aws:ec2launchtemplate:version": "7",
    "signalbox:spot": "act",
}
GROUP_TAG = "aws:autoscaling:groupName"
COMMANDS = json.dumps({"shutdown": ["systemctl stop app"], "timeout_seconds": 25})


class CannedEstate:
    """Answers the reads of a plan.

    Args:
        groups: name → its instances.
    """

    def __init__(self, groups: Mapping[str, list[str]]) -> None:
        self._groups = groups
        self._group_of = {instance: group for group, members in groups.items() for instance in members}
        self._answers: dict[str, Callable[[dict[str, Any]], str]] = {
            "DescribeAutoScalingGroups": self._described_groups,
            "DescribeInstances": self._instances,
            "DescribeTags": self._tags,
            "GetParameters": self._parameters,
        }
        self.bytes = 0
        self.calls = 0

    def install(self, client: Any) -> None:
        """Lets it answer everything this boto3 client sends."""
        client.meta.events.register("before-send.*.*", self._answer)

    def _answer(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        if operation not in self._answers:
            raise NotImplementedError(
                f"{operation}: a plan reads it now; give it an answer in bench/canned.py"
            )
        text = self._answers[operation](_parameters(request))
        body = text.encode()
        self.bytes += len(body)
        self.calls += 1
        return _Response(request.url, 200, body)

    def _described_groups(self, parameters: dict[str, Any]) -> str:
        names = [value for name, value in parameters.items() if name.startswith("AutoScalingGroupNames.")]
        groups = "".join(_group(name, self._groups[name]) for name in names)
        return _result("DescribeAutoScalingGroups", f"<AutoScalingGroups>{groups}</AutoScalingGroups>")

    def _instances(self, parameters: dict[str, Any]) -> str:
        ids = _filters(parameters)["instance-id"]
        return _ec2(
            "DescribeInstances", f"<reservationSet>{''.join(map(_reservation, ids))}</reservationSet>"
        )

    def _tags(self, parameters: dict[str, Any]) -> str:
        filters = _filters(parameters)
        patterns = filters.get("key", ["*"])
        items = "".join(
            f"<item><resourceId>{instance}</resourceId><resourceType>instance</resourceType>"
            f"<key>{key}</key><value>{value}</value></item>"
            for instance in filters["resource-id"]
            for key, value in (TAGS | {GROUP_TAG: self._group_of[instance]}).items()
            if any(fnmatchcase(key, pattern) for pattern in patterns)
        )
        return _ec2("DescribeTags", f"<tagSet>{items}</tagSet>")

    def _parameters(self, parameters: dict[str, Any]) -> str:
        found = [
            {
                "ARN": f"arn:aws:ssm:us-east-1:123456789012:parameter{name}",
                "DataType": "text",
                "LastModifiedDate": 1_780_000_000.123,
                "Name": name,
                "Type": "String",
                "Value": COMMANDS,
                "Version": 3,
            }
            for name in parameters["Names"]
        ]
        return json.dumps({"Parameters": found, "InvalidParameters": []})


class _Response(AWSResponse):
    """An answer that has arrived as a whole."""

    def __init__(self, url: str, status: int, body: bytes) -> None:
        super().__init__(url, status, HTTPHeaders(), None)
        self._content = body


def _parameters(request: AWSPreparedRequest) -> dict[str, Any]:
    body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
    parsed: dict[str, Any] = json.loads(body) if body.startswith("{") else dict(parse_qsl(body))
    return parsed


def _filters(parameters: Mapping[str, str]) -> dict[str, list[str]]:
    """Of Filter.1.Name, Filter.1.Value.1, … ."""
    names: dict[str, str] = {}
    values: dict[str, list[str]] = defaultdict(list)
    for parameter, value in parameters.items():
        match parameter.split("."):
            case ["Filter", number, "Name"]:
                names[number] = value
            case ["Filter", number, "Value", _]:
                values[number].append(value)
    given = sum(map(len, values.values()))
    if given > FILTER_CAP:
        raise ValueError(
            f"FilterLimitExceeded: {given} values in the filters of a call, {FILTER_CAP} allowed"
        )
    return {name: values[number] for number, name in names.items()}


def _result(operation: str, content: str) -> str:
    return (
        f'<{operation}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">'
        f"<{operation}Result>{content}</{operation}Result>"
        "<ResponseMetadata><RequestId>7c6e177f-f082-11e1-ac58-3714bEXAMPLE</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )


def _ec2(operation: str, content: str) -> str:
    return (
        f'<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>8f7724cf-496f-496e-8fe3-example</requestId>{content}</{operation}Response>"
    )


def _member(instance: str) -> str:
    return (
        f"<InstanceId>{instance}</InstanceId><InstanceType>m6i.large</InstanceType>"
        "<AvailabilityZone>us-east-1a</AvailabilityZone><AvailabilityZoneId>use1-az2</AvailabilityZoneId>"
        "<LifecycleState>InService</LifecycleState><HealthStatus>HEALTHY</HealthStatus>"
        "<LaunchTemplate><LaunchTemplateId>lt-0a20c965061f64abc</LaunchTemplateId>"
        "<LaunchTemplateName>web</LaunchTemplateName><Version>7</Version></LaunchTemplate>"
        "<ImageId>ami-0abcdef1234567890</ImageId><ProtectedFromScaleIn>false</ProtectedFromScaleIn>"
    )


def _group(name: str, instances: list[str]) -> str:
    arn = f"arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:8efd-4a2b:autoScalingGroupName/{name}"
    target_group = f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/943f017f100becff"
    tags = "".join(
        f"<member><ResourceId>{name}</ResourceId><ResourceType>auto-scaling-group</ResourceType>"
        f"<Key>{key}</Key><Value>{value}</Value><PropagateAtLaunch>true</PropagateAtLaunch></member>"
        for key, value in TAGS.items()
        if not key.startswith("aws:")
    )
    members = "".join(f"<member>{_member(instance)}</member>" for instance in instances)
    overrides = "".join(
        f"<member><InstanceType>{kind}.large</InstanceType></member>" for kind in ("m6i", "m5", "m5a", "r5")
    )
    return (
        f"<member><AutoScalingGroupName>{name}</AutoScalingGroupName><AutoScalingGroupARN>{arn}"
        "</AutoScalingGroupARN><MixedInstancesPolicy><LaunchTemplate><LaunchTemplateSpecification>"
        "<LaunchTemplateId>lt-0a20c965061f64abc</LaunchTemplateId><LaunchTemplateName>web</LaunchTemplateName>"
        f"<Version>$Latest</Version></LaunchTemplateSpecification><Overrides>{overrides}</Overrides>"
        "</LaunchTemplate><InstancesDistribution><OnDemandAllocationStrategy>prioritized"
        "</OnDemandAllocationStrategy><OnDemandBaseCapacity>0</OnDemandBaseCapacity>"
        "<OnDemandPercentageAboveBaseCapacity>0</OnDemandPercentageAboveBaseCapacity>"
        "<SpotAllocationStrategy>capacity-optimized</SpotAllocationStrategy></InstancesDistribution>"
        f"</MixedInstancesPolicy><MinSize>0</MinSize><MaxSize>{2 * len(instances)}</MaxSize>"
        f"<DesiredCapacity>{len(instances)}</DesiredCapacity><DefaultCooldown>300</DefaultCooldown>"
        "<AvailabilityZones><member>us-east-1a</member><member>us-east-1b</member><member>us-east-1c</member>"
        f"</AvailabilityZones><LoadBalancerNames/><TargetGroupARNs><member>{target_group}</member>"
        "</TargetGroupARNs><HealthCheckType>ELB</HealthCheckType><HealthCheckGracePeriod>300"
        f"</HealthCheckGracePeriod><Instances>{members}</Instances>"
        "<CreatedTime>2026-01-31T12:00:00.000Z</CreatedTime><SuspendedProcesses/>"
        "<VPCZoneIdentifier>subnet-0aaa1111,subnet-0bbb2222,subnet-0ccc3333</VPCZoneIdentifier>"
        f"<EnabledMetrics/><Tags>{tags}</Tags><TerminationPolicies><member>Default</member>"
        "</TerminationPolicies><NewInstancesProtectedFromScaleIn>false</NewInstancesProtectedFromScaleIn>"
        "<ServiceLinkedRoleARN>arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling</ServiceLinkedRoleARN><CapacityRebalance>false</CapacityRebalance>"
        f"<TrafficSources><member><Identifier>{target_group}</Identifier><Type>elbv2</Type></member>"
        "</TrafficSources></member>"
    )


def _reservation(instance: str) -> str:
    tags = "".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in TAGS.items())
    group = "<item><groupId>sg-0123456789abcdef0</groupId><groupName>web</groupName></item>"
    groups = f"<groupSet>{group}</groupSet>"
    address = "<privateIpAddress>10.0.12.34</privateIpAddress>"
    return (
        "<item><reservationId>r-0123456789abcdef0</reservationId><ownerId>123456789012</ownerId><groupSet/>"
        f"<instancesSet><item><instanceId>{instance}</instanceId><imageId>ami-0abcdef1234567890</imageId>"
        "<instanceState><code>16</code><name>running</name></instanceState>"
        "<privateDnsName>ip-10-0-12-34.ec2.internal</privateDnsName><dnsName/><reason/><keyName>web</keyName>"
        "<amiLaunchIndex>0</amiLaunchIndex><productCodes/><instanceType>m6i.large</instanceType>"
        "<launchTime>2026-01-31T12:00:00.000Z</launchTime><placement><availabilityZone>us-east-1a"
        "</availabilityZone><availabilityZoneId>use1-az2</availabilityZoneId><groupName/><tenancy>default"
        "</tenancy></placement><monitoring><state>disabled</state></monitoring>"
        "<subnetId>subnet-0123456789abcdef0</subnetId><vpcId>vpc-0123456789abcdef0</vpcId>"
        f"{address}<sourceDestCheck>true</sourceDestCheck>{groups}<architecture>x86_64</architecture>"
        "<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>"
        "<item><deviceName>/dev/xvda</deviceName><ebs><volumeId>vol-0123456789abcdef0</volumeId>"
        "<status>attached</status><attachTime>2026-01-31T12:00:01.000Z</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination></ebs></item></blockDeviceMapping>"
        "<instanceLifecycle>spot</instanceLifecycle><spotInstanceRequestId>sir-12345678"
        "</spotInstanceRequestId><virtualizationType>hvm</virtualizationType>"
        "<clientToken>fleet-0123-4567-89ab-cdef-0</clientToken>"
        f"<tagSet>{tags}</tagSet><hypervisor>xen</hypervisor><networkInterfaceSet><item>"
        "<networkInterfaceId>eni-0123456789abcdef0</networkInterfaceId>"
        "<subnetId>subnet-0123456789abcdef0</subnetId><vpcId>vpc-0123456789abcdef0</vpcId><description/>"
        "<ownerId>123456789012</ownerId><status>in-use</status><macAddress>0a:1b:2c:3d:4e:5f</macAddress>"
        f"{address}<privateDnsName>ip-10-0-12-34.ec2.internal</privateDnsName>"
        f"<sourceDestCheck>true</sourceDestCheck>{groups}<attachment>"
        "<attachmentId>eni-attach-0123456789abcdef0</attachmentId><deviceIndex>0</deviceIndex>"
        "<status>attached</status><attachTime>2026-01-31T12:00:00.000Z</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>"
        f"<privateIpAddressesSet><item>{address}<privateDnsName>ip-10-0-12-34.ec2.internal</privateDnsName>"
        "<primary>true</primary></item></privateIpAddressesSet><ipv6AddressesSet/>"
        "<interfaceType>interface</interfaceType><operator><managed>false</managed></operator></item>"
        "</networkInterfaceSet><iamInstanceProfile><arn>arn:aws:iam::123456789012:instance-profile/web</arn>"
        "<id>AIPAEXAMPLEEXAMPLE123</id></iamInstanceProfile><ebsOptimized>false</ebsOptimized>"
        "<enaSupport>true</enaSupport><cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore>"
        "</cpuOptions><capacityReservationSpecification><capacityReservationPreference>open"
        "</capacityReservationPreference></capacityReservationSpecification><hibernationOptions>"
        "<configured>false</configured></hibernationOptions><metadataOptions><state>applied</state>"
        "<httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>"
        "<httpEndpoint>enabled</httpEndpoint><httpProtocolIpv6>disabled</httpProtocolIpv6>"
        "<instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions><enclaveOptions>"
        "<enabled>false</enabled></enclaveOptions><bootMode>uefi-preferred</bootMode>"
        "<platformDetails>Linux/UNIX</platformDetails><usageOperation>RunInstances:SV000</usageOperation>"
        "<usageOperationUpdateTime>2026-01-31T12:00:00.000Z</usageOperationUpdateTime><privateDnsNameOptions>"
        "<hostnameType>ip-name</hostnameType><enableResourceNameDnsARecord>false"
        "</enableResourceNameDnsARecord><enableResourceNameDnsAAAARecord>false"
        "</enableResourceNameDnsAAAARecord></privateDnsNameOptions><maintenanceOptions>"
        "<autoRecovery>default</autoRecovery><rebootMigration>default</rebootMigration></maintenanceOptions>"
        "<currentInstanceBootMode>legacy-bios</currentInstanceBootMode><networkPerformanceOptions>"
        "<bandwidthWeighting>default</bandwidthWeighting></networkPerformanceOptions>"
        "<operator><managed>false</managed></operator></item></instancesSet></item>"
    )
