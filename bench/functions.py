"""The template's functions and what Lambda loads for them: folder, layers, environment, runtime."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.pruning import TemplateError, defaults, references, resolve
from local.settings import ACCESS_KEY, ACCOUNT, REGION, ROOT, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
"""What the managed runtime brings, as distributions."""
LAYERS_OF_SOME = {
    "DocumentsLayer": "documents",
    "KubernetesLayer": "kubernetes",
    "OpenSearchLayer": "opensearch",
    "PackagesLayer": "packages",
}
"""Layers that not every function has, and their folders."""
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@dataclass(frozen=True, slots=True)
class Function:
    """One of the template's: logical ids of its layers, and its own variables."""

    name: str
    layers: tuple[str, ...]
    variables: Mapping[str, str]

    def environment(self, folder: Path, url: str = "") -> dict[str, str]:
        """As Lambda sets it for a function in this folder, and where AWS is."""
        endpoint = {"AWS_ENDPOINT_URL": url} if url else {}
        return {
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
            "LAMBDA_TASK_ROOT": str(folder),
            "_X_AMZN_TRACE_ID": TRACE,
            **endpoint,
            **self.variables,
        }


def functions_of(template: Mapping[str, Any], resources: Mapping[str, str]) -> dict[str, Function]:
    """The functions by logical id. ``resources`` are physical ids; others are made up."""
    shared = template["Globals"]["Function"]
    values = defaults(template) | {
        "AWS::AccountId": ACCOUNT,
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::StackName": "signalbox",
        **resources,
    }
    own = {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    return {
        name: Function(
            name,
            tuple(layer["Ref"] for layer in [*shared["Layers"], *properties.get("Layers", [])]),
            {
                str(variable): _value(node, values)
                for variable, node in (_variables(shared) | _variables(properties)).items()
            },
        )
        for name, properties in own.items()
    }


def size(folder: Path) -> int:
    """Bytes of the files below it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def locked(layer: str) -> list[str]:
    """The distributions of a layer's lock file."""
    text = (ROOT / "layers" / layer / "requirements.txt").read_text()
    return re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)


def packages(distributions: Iterable[str]) -> dict[str, Path]:
    """What distributions of .venv have at the top, by name: packages, modules, metadata."""
    found: dict[str, Path] = {}
    for name in distributions:
        known = distribution(name)
        tops = {file.parts[0] for file in known.files or []} - {"..", "__pycache__"}
        found |= {top: Path(str(known.locate_file(top))) for top in tops}
    return found


def copy(distributions: Iterable[str], folder: Path) -> Path:
    """Copies them there, without bytecode."""
    folder.mkdir()
    for top, source in packages(distributions).items():
        if source.is_dir():
            shutil.copytree(source, folder / top, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / top)
    return folder


def link(distributions: Iterable[str], folder: Path) -> Path:
    """Links to them there."""
    folder.mkdir()
    for top, source in packages(distributions).items():
        (folder / top).symlink_to(source)
    return folder


def _variables(properties: Mapping[str, Any]) -> dict[str, Any]:
    return dict(properties.get("Environment", {}).get("Variables", {}))


def _value(node: object, values: Mapping[str, str]) -> str:
    """What a condition is for is left out by default: the last of its values."""
    if isinstance(node, dict) and "Fn::If" in node:
        return _value(node["Fn::If"][2], values)
    try:
        return resolve(node, values)
    except TemplateError:
        return "-".join(sorted(references(node)))
