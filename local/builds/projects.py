"""What ministack drops of a project, and whom a call of CodeBuild needs permission of."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack import app as ministack
from ministack.core import iam_actions
from ministack.services import codebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    type Request = dict[str, Any]

KEPT = {"logsConfig": "LogsConfig", "queuedTimeoutInMinutes": "QueuedTimeoutInMinutes"}
"""The API's name, CloudFormation's."""


def install() -> None:
    """Puts it into ministack."""
    codebuild._create_project = _kept(codebuild._create_project)
    codebuild._update_project = _kept(codebuild._update_project)
    codebuild._project_shape = _whole(codebuild._project_shape)
    _when_loaded("cloudformation", _keep_of_templates)
    _ask_for_the_project()


def _keep(name: str, given: Mapping[str, Any]) -> None:
    if name in codebuild._projects:
        codebuild._projects[name].update({key: given[key] for key in KEPT if key in given})


def _kept(handle: Callable[[Request], Any]) -> Callable[[Request], Any]:
    def handled(request: Request) -> Any:
        answer = handle(request)
        _keep(request.get("name", ""), request)
        return answer

    return handled


def _whole(shape: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Callable[[Mapping[str, Any]], Any]:
    def shaped(project: Mapping[str, Any]) -> dict[str, Any]:
        return {**shape(project), **{key: project[key] for key in KEPT if key in project}}

    return shaped


def _keep_of_templates(cloudformation: Any) -> None:
    def kept(make: Callable[..., tuple[str, Any]]) -> Callable[..., tuple[str, Any]]:
        def made(*arguments: Any) -> tuple[str, Any]:
            name, attributes = make(*arguments)
            properties = arguments[-2]
            _keep(name, {key: _of_the_api(properties[cfn]) for key, cfn in KEPT.items() if cfn in properties})
            return name, attributes

        return made

    handlers = cloudformation.provisioners._RESOURCE_HANDLERS["AWS::CodeBuild::Project"]
    handlers |= {name: kept(handlers[name]) for name in ("create", "update")}


def _of_the_api(value: Any) -> Any:
    """CloudFormation's spelling of a property as the API has it."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _of_the_api(inner) for name, inner in value.items()}
    return value


def _when_loaded(service: str, act: Callable[[Any], None]) -> None:
    """Acts on a module of ministack at its first use: to load CloudFormation's takes a second."""
    load = ministack._get_module

    def loaded(name: str) -> Any:
        first = name == service and name not in ministack._loaded_modules
        module = load(name)
        if first:
            act(module)
        return module

    ministack._get_module = loaded


def _ask_for_the_project() -> None:
    """A build's permission is its project's ("Actions, resources, and condition keys for AWS CodeBuild").

    Of several projects in one call the first is asked for.
    """
    extract = iam_actions.extract_resource_arn

    def extracted(service: str, method: str, path: str, headers: Any, body: bytes, *place: Any) -> str:
        resource: str = extract(service, method, path, headers, body, *place)
        if service != "codebuild" or resource != "*":
            return resource
        _, region, account = place
        return _project_of(body, region, account) or resource

    iam_actions.extract_resource_arn = extracted


def _project_of(body: bytes, region: str, account: str) -> str | None:
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return None
    named = [request.get("id"), *request.get("ids", []), *request.get("names", [])]
    first = next((name for name in named if name), None)
    if first is None:
        return None
    project = str(first).rpartition("/")[2].partition(":")[0]
    return f"arn:aws:codebuild:{region}:{account}:project/{project}"
