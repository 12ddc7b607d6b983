"""Takes out of a built template what the embedded AWS can't hold. Pure: a template in, a template out.

`sam build` writes intrinsic functions in their long form, the only one known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# By name, with the reason: nothing is left out that isn't listed here.
LEFT_OUT = {
    "AWS::ApplicationInsights::Application": "ministack has no Application Insights",
    "AWS::Athena::NamedQuery": "ministack's CloudFormation saves no queries of Athena",
    "AWS::CloudWatch::AnomalyDetector": "ministack has no anomaly detection",
    "AWS::CloudWatch::CompositeAlarm": "ministack has metric alarms only",
    "AWS::CodeDeploy::Application": "ministack has no CodeDeploy: a new version takes over at once",
    "AWS::CodeDeploy::DeploymentGroup": "ministack has no CodeDeploy: a new version takes over at once",
    "AWS::Events::Archive": "ministack's CloudFormation makes no archives",
    "AWS::Events::EventBusPolicy": "ministack's CloudFormation makes no bus policies",
    "AWS::Logs::QueryDefinition": "ministack keeps no saved queries",
    "AWS::ResourceGroups::Group": "ministack's CloudFormation makes no resource groups",
    "AWS::XRay::Group": "ministack has no X-Ray",
    "AWS::XRay::SamplingRule": "ministack has no X-Ray",
}
LEFT_OUT_WITH = {
    ("AWS::CloudWatch::Alarm", "Metrics"): "ministack's CloudFormation makes alarms of one metric only",
}
"""Resources of a kind that have a certain property."""
IN_ESTATE = {
    "AWS::SSM::Document": "created in the estate instead, where Run Command is",
}
LEFT_OUT_PROPERTIES = {
    "DeploymentPreference": LEFT_OUT["AWS::CodeDeploy::DeploymentGroup"],
}
NUMBERS = {"MaximumConcurrency"}
"""Properties that ministack takes as a number only; what refers to a parameter is text to it."""
REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z0-9:]+)(?P<attribute>\.[A-Za-z0-9.]+)?\}")


class TemplateError(ValueError):
    """Something in the template that can't be worked out here; says where."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of the template that the spine doesn't get, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """A template the spine can take, what it lacks, and the SSM documents (by name) the estate is to hold."""

    template: dict[str, Any]
    left_out: tuple[LeftOut, ...]
    documents: Mapping[str, dict[str, Any]]


def prune(template: Mapping[str, Any], values: Mapping[str, str]) -> Pruned:
    """Splits a built template. `values` are the parameters given and the pseudo parameters.

    An output that refers to a resource left out goes with it. Any other reference to one becomes the text
    `left-out-<logical id>`; a reference to what lies in the estate becomes its real name.
    Raises TemplateError for a document's name that isn't made of parameters alone.
    """
    known = {**defaults(template), **values}
    reasons = {
        name: reason for name, item in template["Resources"].items() if (reason := _reason_to_leave_out(item))
    }
    gone = {name: template["Resources"][name] for name in reasons}
    documents = {
        name: resource["Properties"] for name, resource in gone.items() if resource["Type"] in IN_ESTATE
    }
    names = {name: f"left-out-{name}" for name in gone if name not in documents} | {
        name: _physical_name(name, properties, known) for name, properties in documents.items()
    }
    lost_outputs = {
        key: sorted(references(output) & (gone.keys() - documents.keys()))
        for key, output in template.get("Outputs", {}).items()
    }
    left_out = (
        *(LeftOut(name, item["Type"], reasons[name]) for name, item in gone.items()),
        *(
            LeftOut(key, "output", f"it is of {', '.join(lost)}")
            for key, lost in lost_outputs.items()
            if lost
        ),
        *_left_out_properties(template),
    )
    kept = {
        **template,
        "Resources": {name: item for name, item in template["Resources"].items() if name not in gone},
        "Outputs": {
            key: output for key, output in template.get("Outputs", {}).items() if not lost_outputs[key]
        },
    }
    pruned = _with_numbers(replace(kept, names), known)
    return Pruned(pruned, left_out, {names[name]: documents[name] for name in documents})


def _reason_to_leave_out(resource: Mapping[str, Any]) -> str | None:
    kind = resource["Type"]
    properties = (LEFT_OUT_WITH.get((kind, name)) for name in resource.get("Properties", {}))
    return (LEFT_OUT | IN_ESTATE).get(kind) or next(filter(None, properties), None)


def defaults(template: Mapping[str, Any]) -> dict[str, str]:
    """The default values of a template's parameters."""
    parameters = template.get("Parameters", {})
    return {name: str(item["Default"]) for name, item in parameters.items() if "Default" in item}


def references(node: object) -> set[str]:
    """The logical ids and parameters a part of a template refers to."""
    match node:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::GetAtt": str(path)}:
            return {path.partition(".")[0]}
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text)]}:
            return {match["name"] for match in REFERENCE.finditer(text)}
        case {"Fn::Sub": [str(text), {**own}]}:
            return (references({"Fn::Sub": text}) - own.keys()) | references(own)
    return set().union(*map(references, _parts(node)))


def replace(node: Any, names: Mapping[str, str]) -> Any:
    """A part of a template with each reference to one of `names` replaced by its text, DependsOn included."""
    match node:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]} if name in names:
            return names[name]
        case {"Fn::GetAtt": str(path)} if path.partition(".")[0] in names:
            return names[path.partition(".")[0]]
        case {"Fn::Sub": _}:
            return {"Fn::Sub": _replace_in_sub(node["Fn::Sub"], names)}
        case dict():
            members = {key: value for key, value in node.items() if key not in LEFT_OUT_PROPERTIES}
            return {
                key: _dependencies(value, names) if key == "DependsOn" else replace(value, names)
                for key, value in members.items()
            }
        case list():
            return [replace(item, names) for item in node]
    return node


def _with_numbers(node: Any, values: Mapping[str, str]) -> Any:
    match node:
        case dict():
            return {
                key: int(resolve(value, values))
                if key in NUMBERS and not isinstance(value, int)
                else _with_numbers(value, values)
                for key, value in node.items()
            }
        case list():
            return [_with_numbers(item, values) for item in node]
    return node


def resolve(node: object, values: Mapping[str, str]) -> str:
    """A text of a template, with parameters put in. Raises TemplateError for anything else."""
    match node:
        case str(text):
            return text
        case {"Ref": str(name)} if name in values:
            return values[name]
        case {"Fn::Sub": str(text)} if references(node) <= values.keys() and "." not in text:
            return REFERENCE.sub(lambda match: values[match["name"]], text)
        case _:
            raise TemplateError(
                f"can't work out {node!r}: only texts, and Ref and Fn::Sub of parameters, are known"
            )


def _physical_name(name: str, properties: Mapping[str, Any], values: Mapping[str, str]) -> str:
    try:
        return resolve(properties.get("Name", f"{values['AWS::StackName']}-{name}"), values)
    except TemplateError as error:
        raise TemplateError(f"Resources/{name}/Properties/Name: {error}") from error


def _left_out_properties(template: Mapping[str, Any]) -> list[LeftOut]:
    owners = {name: item.get("Properties", {}) for name, item in template["Resources"].items()}
    owners |= {f"Globals.{kind}": item for kind, item in template.get("Globals", {}).items()}
    return [
        LeftOut(f"{owner}.{key}", "property", reason)
        for owner, properties in owners.items()
        for key, reason in LEFT_OUT_PROPERTIES.items()
        if key in properties
    ]


def _parts(node: object) -> list[Any]:
    match node:
        case dict():
            return list(node.values())
        case list():
            return node
    return []


def _replace_in_sub(argument: Any, names: Mapping[str, str]) -> Any:
    text, own = argument if isinstance(argument, list) else (argument, None)
    others = {name: value for name, value in names.items() if name not in (own or {})}
    text = REFERENCE.sub(lambda match: others.get(match["name"], match[0]), text)
    return text if own is None else [text, replace(own, names)]


def _dependencies(value: str | list[str], names: Mapping[str, str]) -> list[str]:
    return [name for name in ([value] if isinstance(value, str) else value) if name not in names]
