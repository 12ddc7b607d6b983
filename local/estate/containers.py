"""ECS as AWS has it: clusters must exist, and the cluster query language finds instances."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult
from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.responses import EC2ContainerServiceResponse

if TYPE_CHECKING:
    from local.estate.replacing import Replacements

# "Cluster query language", Amazon ECS Developer Guide.
BY_INSTANCE = re.compile(r"\s*ec2InstanceId\s+in\s*\[(?P<values>[^\]]*)\]\s*")
PAGE = 100


def container_semantics(replacements: Replacements) -> None:
    """moto lists every container instance, whatever the filter, and none of a cluster that is not there."""
    replacements.methods(EC2ContainerServiceResponse, list_container_instances)


def _named(text: str) -> set[str]:
    match = BY_INSTANCE.fullmatch(text)
    if match is None:
        raise InvalidParameterException(
            f"the embedded estate filters by ec2InstanceId in [...] only, not by {text}"
        )
    return {value.strip(" '\"") for value in match["values"].split(",")}


# From here on: methods of moto's.


def list_container_instances(self: EC2ContainerServiceResponse) -> ActionResult:
    backend = self.ecs_backend
    cluster = backend._get_cluster(self._get_param("cluster", "default"))
    arns = backend.list_container_instances(cluster.name, status=self._get_param("status"))
    if text := self._get_param("filter"):
        wanted = _named(text)
        members = backend.container_instances.get(cluster.name, {}).values()
        found = {each.container_instance_arn for each in members if each.ec2_instance_id in wanted}
        arns = [arn for arn in arns if arn in found]
    begin = int(self._get_param("nextToken") or 0)
    end = begin + int(self._get_param("maxResults") or PAGE)
    more = {"nextToken": str(end)} if end < len(arns) else {}
    return ActionResult({"containerInstanceArns": arns[begin:end], **more})
