"""Which resources a call is about, as IAM sees them: their ARNs, and the tags its conditions may name."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends

from local.estate.stored import s3_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from moto.autoscaling.models import FakeAutoScalingGroup

    from local.estate.requests import AwsRequest

# Besides the global aws:ResourceTag. ELB has its own, SSM writes its first letter small.
TAG_KEYS = {
    "autoscaling": "autoscaling:ResourceTag",
    "ec2": "ec2:ResourceTag",
    "ecs": "ecs:ResourceTag",
    "elasticloadbalancing": "elasticloadbalancing:ResourceTag",
    "ssm": "ssm:resourceTag",
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a call; `service` is the service that is called."""

    arn: str
    service: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def condition_keys(self) -> dict[str, str]:
        """`aws:ResourceTag/team` and its service's twin, for each tag."""
        prefixes = ("aws:ResourceTag", TAG_KEYS.get(self.service, "aws:ResourceTag"))
        return {f"{prefix}/{key}": value for prefix in prefixes for key, value in self.tags.items()}


def resources_of(request: AwsRequest) -> list[Resource]:
    """The resources a role must be allowed to do this to; "*" for what IAM knows no resources of."""
    finder = FINDERS.get(request.service)
    found = [] if finder is None or _reads_all(request) else list(finder(request))
    return found or [Resource("*", request.service)]


def objects_read_by(request: AwsRequest) -> Iterable[tuple[str, Resource]]:
    """What Rekognition and Textract read in the caller's name: the action on S3, and on what."""
    if request.service in {"rekognition", "textract"} and (given := s3_object(request.parameters)):
        action = "s3:GetObjectVersion" if given.get("Version") else "s3:GetObject"
        yield action, Resource(f"arn:aws:s3:::{given.get('Bucket')}/{given.get('Name')}", "s3")


def _reads_all(request: AwsRequest) -> bool:
    """EC2, Auto Scaling and ELB know no resources for their describes ("Service Authorization Reference")."""
    return request.operation.startswith("Describe") and request.service not in {"ecs", "ssm"}


def _arn(request: AwsRequest, service: str, resource: str, account: str | None = None) -> str:
    owner = request.account if account is None else account
    return f"arn:aws:{service}:{request.region}:{owner}:{resource}"


def _instances(request: AwsRequest, ids: Iterable[str]) -> Iterable[Resource]:
    tags = ec2_backends[request.account][request.region].tags
    for instance in ids:
        arn = _arn(request, "ec2", f"instance/{instance}")
        yield Resource(arn, request.service, dict(tags.get(instance, {})))


def _auto_scaling(request: AwsRequest) -> Iterable[Resource]:
    groups = autoscaling_backends[request.account][request.region].autoscaling_groups
    tagged = [
        tag.get("ResourceId", "") for tag in request.parameters.get("Tags") or [] if isinstance(tag, dict)
    ]
    names = {request.text("AutoScalingGroupName"), *tagged} - {""}
    if instance := request.text("InstanceId"):
        names |= {name for name, group in groups.items() if _has(group, instance)}
    for name in sorted(names):
        if group := groups.get(name):
            tags = {tag["Key"]: tag.get("Value") or "" for tag in group.tags}
            yield Resource(group.arn, request.service, tags)
        else:
            arn = _arn(request, "autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")
            yield Resource(arn, request.service)


def _has(group: FakeAutoScalingGroup, instance_id: str) -> bool:
    return any(state.instance.id == instance_id for state in group.instance_states)


def _load_balancing(request: AwsRequest) -> Iterable[Resource]:
    named = (request.text(name) for name in ("TargetGroupArn", "LoadBalancerArn", "ListenerArn", "RuleArn"))
    backend = elbv2_backends[request.account][request.region]
    for arn in chain(filter(None, named), request.ids("ResourceArns")):
        owner = backend.target_groups.get(arn) or backend.load_balancers.get(arn)
        tags = backend.tagging_service.get_tag_dict_for_resource(arn) if owner else {}
        yield Resource(arn, request.service, tags)
    if name := request.text("LoadBalancerName"):
        yield Resource(_arn(request, "elasticloadbalancing", f"loadbalancer/{name}"), request.service)


def _ec2(request: AwsRequest) -> Iterable[Resource]:
    tagged = (name for name in request.ids("Resources") if name.startswith("i-"))
    return _instances(request, chain(request.ids("InstanceIds"), tagged))


def _ssm(request: AwsRequest) -> Iterable[Resource]:
    if request.operation == "SendCommand":
        yield from _command(request)
    elif request.operation.startswith(("GetParameter", "PutParameter", "DeleteParameter", "LabelParameter")):
        names = (*request.ids("Names"), request.text("Name"), request.text("Path"))
        for name in filter(None, names):
            yield Resource(_arn(request, "ssm", f"parameter/{name.lstrip('/')}"), request.service)


def _command(request: AwsRequest) -> Iterable[Resource]:
    document = request.text("DocumentName")
    # AWS's own documents belong to no account.
    owner = "" if document.startswith("AWS-") else None
    yield Resource(_arn(request, "ssm", f"document/{document}", owner), request.service)
    yield from _instances(request, request.ids("InstanceIds"))


def _ecs(request: AwsRequest) -> Iterable[Resource]:
    cluster = request.text("cluster").rpartition("/")[2] or "default"
    instances = request.ids("containerInstances")
    for instance in instances:
        kind = f"container-instance/{cluster}/{instance.rpartition('/')[2]}"
        yield Resource(_arn(request, "ecs", kind), request.service)
    if not instances and request.operation.startswith(("List", "Update")):
        tags = _cluster_tags(request, cluster)
        yield Resource(_arn(request, "ecs", f"cluster/{cluster}"), request.service, tags)


def _cluster_tags(request: AwsRequest, name: str) -> dict[str, str]:
    cluster = ecs_backends[request.account][request.region].clusters.get(name)
    return {tag["key"]: tag["value"] for tag in cluster.tags or []} if cluster else {}


FINDERS: Mapping[str, Callable[[AwsRequest], Iterable[Resource]]] = {
    "autoscaling": _auto_scaling,
    "ec2": _ec2,
    "ecs": _ecs,
    "elasticloadbalancing": _load_balancing,
    "ssm": _ssm,
}
