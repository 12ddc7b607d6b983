"""Run Command as AWS has it: checked targets, and ListCommandInvocations, which moto lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.exceptions import InvalidFilterKey, SSMException
from moto.ssm.models import Command, SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

from local.estate.instances import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.estate.replacing import Replacements

type Invocation = dict[str, Any]

PAGE = 50


def command_semantics(replacements: Replacements) -> None:
    """Adds ListCommandInvocations; refuses instances SSM can't reach; keeps to the instances named."""
    replacements.around(SimpleSystemManagerBackend, send_command)
    replacements.around(Command, _get_instance_ids_from_targets)
    replacements.methods(SimpleSystemManagerResponse, list_commands, list_command_invocations)


def _check_reachable(backend: SimpleSystemManagerBackend, instance_ids: list[str]) -> None:
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    places = {instance_id: find(ec2, instance_id) for instance_id in instance_ids}
    gone = [name for name, place in places.items() if place is None or place.instance.state != "running"]
    if gone:
        # Words: aws-samples/eks-security-compromised-cluster-remediation#12.
        message = f"Instances [[{', '.join(gone)}]] not in a valid state for account {backend.account_id}"
        raise SSMException("InvalidInstanceId", message)


def _fails(parameters: dict[str, list[str]]) -> bool:
    """Nothing runs here. So that a command can fail all the same: one whose last line is `false` does."""
    script = "\n".join(parameters.get("Commands", []))
    return script.splitlines()[-1:] == ["false"]


def _matching(response: SimpleSystemManagerResponse) -> Iterator[Invocation]:
    """The invocations asked for, newest command first. An unknown command is InvalidCommandId."""
    instance_id = response._get_param("InstanceId")
    commands = response.ssm_backend.list_commands(response._get_param("CommandId"), instance_id)
    statuses = _wanted_statuses(response._get_param("Filters") or [])
    details = bool(response._get_param("Details"))
    for command in reversed(commands):
        for invocation in command.invocations:
            if instance_id in {None, invocation["InstanceId"]} and (
                not statuses or invocation["Status"] in statuses
            ):
                yield _listed(command, invocation, details=details)


def _wanted_statuses(filters: list[dict[str, str]]) -> set[str]:
    if unknown := [one["key"] for one in filters if one["key"] != "Status"]:
        raise InvalidFilterKey(f"the embedded estate filters invocations by Status only, not by {unknown[0]}")
    return {one["value"] for one in filters}


def _listed(command: Command, invocation: Invocation, *, details: bool) -> Invocation:
    listed = {
        "CommandId": command.command_id,
        "InstanceId": invocation["InstanceId"],
        "InstanceName": "",
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": "$DEFAULT",
        "RequestedDateTime": command.requested_date_time,
        "Status": invocation["Status"],
        "StatusDetails": invocation["StatusDetails"],
        "StandardOutputUrl": invocation["StandardOutputUrl"],
        "StandardErrorUrl": "",
        "CommandPlugins": [],
    }
    if details:
        listed["CommandPlugins"] = [_plugin(command, invocation)]
    return listed


def _plugin(command: Command, invocation: Invocation) -> dict[str, Any]:
    return {
        "Name": invocation["PluginName"],
        "Status": invocation["Status"],
        "StatusDetails": invocation["StatusDetails"],
        "ResponseCode": invocation["ResponseCode"],
        "ResponseStartDateTime": command.requested_date_time,
        "ResponseFinishDateTime": command.requested_date_time,
        "Output": invocation["StandardOutputContent"],
    }


def _command_filter(filters: list[dict[str, str]]) -> Callable[[Command], bool]:
    """The filters that the program uses. Source: CommandFilter, Systems Manager API Reference."""
    wanted = {one["key"]: one["value"] for one in filters}
    if unknown := wanted.keys() - {"DocumentName", "InvokedAfter"}:
        raise InvalidFilterKey(
            f"the embedded estate does not filter commands by {', '.join(sorted(unknown))}"
        )
    document = wanted.get("DocumentName")
    after = datetime.fromisoformat(wanted.get("InvokedAfter", "1970-01-01T00:00:00Z"))
    return lambda command: (
        document in {None, command.document_name} and command.requested_date_time.replace(tzinfo=UTC) >= after
    )


def _as_a_whole(command: Command) -> dict[str, Any]:
    """The command with the status that its invocations come to."""
    states = [invocation["Status"] for invocation in command.invocations]
    over = [state for state in states if state not in {"Pending", "InProgress", "Delayed"}]
    bad = [state for state in over if state != "Success"]
    status = "InProgress" if len(over) < len(states) else "Failed" if bad else "Success"
    counts = {"TargetCount": len(states), "CompletedCount": len(over), "ErrorCount": len(bad)}
    return command.response_object() | {"Status": status, "StatusDetails": status} | counts


def _page(response: SimpleSystemManagerResponse, name: str, found: list[dict[str, Any]]) -> ActionResult:
    start = int(response._get_param("NextToken") or 0)
    end = start + int(response._get_param("MaxResults") or PAGE)
    result: dict[str, Any] = {name: found[start:end]}
    if end < len(found):
        result["NextToken"] = str(end)
    return ActionResult(result)


# From here on: methods of moto's.


def send_command(send: Callable[..., Command], self: SimpleSystemManagerBackend, **request: Any) -> Command:
    _check_reachable(self, request["instance_ids"])
    command = send(self, **request)
    if _fails(request["parameters"] or {}):
        for invocation in command.invocations:
            invocation["Status"] = invocation["StatusDetails"] = "Failed"
    return command


def _get_instance_ids_from_targets(by_targets: Callable[..., list[str]], self: Command) -> list[str]:
    # Without targets moto would take every instance of the estate.
    return by_targets(self) if self.targets else []


def list_commands(self: SimpleSystemManagerResponse) -> ActionResult:
    found = self.ssm_backend.list_commands(self._get_param("CommandId"), self._get_param("InstanceId"))
    wanted = _command_filter(self._get_param("Filters") or [])
    listed = [_as_a_whole(command) for command in reversed(found) if wanted(command)]
    return _page(self, "Commands", listed)


def list_command_invocations(self: SimpleSystemManagerResponse) -> ActionResult:
    return _page(self, "CommandInvocations", list(_matching(self)))
