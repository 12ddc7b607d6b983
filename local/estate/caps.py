"""AWS's caps on a single request, in AWS's own words.

Where a message was seen in the field its source is named; the others follow the service's usual form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.estate.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.estate.requests import AwsRequest

type Cap = Callable[[AwsRequest], AwsError | None]


def cap_error(request: AwsRequest) -> AwsError | None:
    """What AWS says to a request that asks for more than it allows; None if it doesn't."""
    if request.service == "ec2" and (error := _filter_values(request)):
        return error
    cap = CAPS.get(request.name)
    return cap(request) if cap else None


def _list_cap(parameter: str, most: int, code: str, message: str) -> Cap:
    def check(request: AwsRequest) -> AwsError | None:
        given = len(request.ids(parameter))
        return AwsError(code, message.format(given=given, most=most)) if given > most else None

    return check


def _constraint(parameter: str, value: object, constraint: str) -> AwsError:
    return AwsError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{parameter}' "
        f"failed to satisfy constraint: {constraint}",
    )


def _ssm_list_cap(parameter: str, most: int) -> Cap:
    wire_name = parameter[0].lower() + parameter[1:]

    def check(request: AwsRequest) -> AwsError | None:
        values = request.ids(parameter)
        if len(values) <= most:
            return None
        shown = f"[{', '.join(values)}]"
        return _constraint(wire_name, shown, f"Member must have length less than or equal to {most}")

    return check


def _send_command(request: AwsRequest) -> AwsError | None:
    timeout = request.parameters.get("TimeoutSeconds")
    if timeout is not None and timeout < 30:
        return _constraint("timeoutSeconds", timeout, "Member must have value greater than or equal to 30")
    return _ssm_list_cap("InstanceIds", 50)(request)


def _describe_instances(request: AwsRequest) -> AwsError | None:
    most = request.parameters.get("MaxResults")
    if most is None:
        return None
    if request.ids("InstanceIds"):
        return AwsError(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        )
    if most < 5:
        return _page_size(most, "greater than or equal to 5")
    return _page_size(most, "less than or equal to 1000") if most > 1000 else None


def _page_size(value: int, bound: str) -> AwsError:
    return AwsError(
        "InvalidParameterValue",
        f"Value ( {value} ) for parameter maxResults is invalid. Expecting a value {bound}.",
    )


def _filter_values(request: AwsRequest) -> AwsError | None:
    # Words: gjbae1212/gossm#47.
    filters: list[dict[str, Any]] = request.parameters.get("Filters") or []
    if sum(len(one.get("Values") or []) for one in filters) <= 200:
        return None
    return AwsError(
        "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200"
    )


def _target_groups(request: AwsRequest) -> AwsError | None:
    # Words: ansible-collections/amazon.aws#1593; the documentation names no cap.
    if max(len(request.ids(parameter)) for parameter in ("Names", "TargetGroupArns")) <= 20:
        return None
    return AwsError("ValidationError", "You cannot describe more than '20' target groups at a time")


def _text_bytes(most: int) -> Cap:
    # Words: amazon-connect/amazon-connect-salesforce-lambda#20.
    def check(request: AwsRequest) -> AwsError | None:
        size = len(request.text("Text").encode())
        if size <= most:
            return None
        return AwsError(
            "TextSizeLimitExceededException",
            f"Input text size exceeds limit. Max length of request text allowed is {most} bytes "
            f"while in this request the text size is {size} bytes",
        )

    return check


CAPS: dict[str, Cap] = {
    # Words: reproio/ecs_deploy#39.
    "autoscaling:DetachInstances": _list_cap(
        "InstanceIds",
        20,
        "ValidationError",
        "List exceeds the maximum number of instances to detach. "
        "Please retry your request with fewer instances.",
    ),
    # Words: hjacobs/kube-aws-autoscaler#25.
    "autoscaling:DescribeAutoScalingInstances": _list_cap(
        "InstanceIds",
        50,
        "ValidationError",
        "The number of instance ids that may be passed in is limited to {most}",
    ),
    # Words: kubernetes/kops#4832. The cap itself: field reports of that error.
    "autoscaling:DescribeAutoScalingGroups": _list_cap(
        "AutoScalingGroupNames",
        50,
        "ValidationError",
        "The number of group names that may be passed in is limited to {most}",
    ),
    "elasticloadbalancing:DescribeTargetGroups": _target_groups,
    # Words: minamijoyo/myaws#25 and traefik/traefik#3625.
    "ecs:UpdateContainerInstancesState": _list_cap(
        "containerInstances", 10, "InvalidParameterException", "instanceIds can have at most {most} items."
    ),
    "ecs:DescribeContainerInstances": _list_cap(
        "containerInstances", 100, "InvalidParameterException", "instanceIds can have at most {most} items."
    ),
    # Words: sensu-plugins/sensu-plugins-aws#195 (AWS's spelling); code: bastillion-io/Bastillion-EC2#8.
    "ec2:DescribeInstanceStatus": _list_cap(
        "InstanceIds",
        100,
        "InvalidRequest",
        "{given} exceeds the maximum number of instance IDs that can be specificied ({most}). "
        "Please specify fewer than {most} instance IDs.",
    ),
    "ec2:DescribeInstances": _describe_instances,
    "ssm:SendCommand": _send_command,
    "ssm:GetParameters": _ssm_list_cap("Names", 10),
    # "Guidelines and quotas", Amazon Comprehend Developer Guide. Of a batch, each text that is too long is an
    # error in the answer. Words: cloudyr/aws.comprehend#7.
    "comprehend:BatchDetectEntities": _list_cap(
        "TextList",
        25,
        "BatchSizeLimitExceededException",
        "The number of documents in the request exceeds the limit of {most}. "
        "Try your request again with fewer documents.",
    ),
    "comprehend:DetectDominantLanguage": _text_bytes(100 * 1024),
    "comprehend:DetectEntities": _text_bytes(100 * 1024),
}
