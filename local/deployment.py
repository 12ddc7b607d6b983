"""Builds the real template with the SAM CLI and deploys it to the embedded AWS.

What the spine can't take is left out in between (local.pruning); what the estate holds in its stead, the SSM
documents, is created there from the same template.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tomllib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import yaml
from botocore.exceptions import ClientError

from local.processes import locked
from local.pruning import LeftOut, Pruned, prune
from local.settings import ACCOUNT, REGION, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.embedded import Clients, EmbeddedAws

STACK = "signalbox-local"
SAM_CLI = "aws-sam-cli==1.170.0"
BUCKET = "signalbox-artifacts"
# All that decides what `sam build` makes.
SOURCES = ("template.yaml", "functions", "layers", "statemachines")
IGNORED = {"__pycache__", ".DS_Store"}


class DeploymentError(RuntimeError):
    """A build or deployment that failed, with what the SAM CLI and CloudFormation said."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack; `changed` is False when it already was as it should be."""

    outputs: Mapping[str, str]
    left_out: tuple[LeftOut, ...]
    changed: bool


@dataclass(frozen=True, slots=True)
class Application:
    """Where a SAM application lies and where it is built."""

    root: Path = ROOT
    build: Path = ROOT / ".local" / "build"

    @property
    def template(self) -> Path:
        return self.root / "template.yaml"

    @property
    def built_template(self) -> Path:
        return self.build / "artifacts" / "template.yaml"


def architecture() -> str:
    """Lambda's word for this machine."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def silent(_: str) -> None:
    """Reports nothing."""


def deploy(
    aws: EmbeddedAws,
    *,
    overrides: Mapping[str, str] | None = None,
    stack: str = STACK,
    application: Application | None = None,
    report: Callable[[str], None] = silent,
) -> Deployment:
    """Builds if the sources changed, deploys if anything did, and returns the stack's outputs.

    `overrides` go before the parameters of samconfig.toml's `local` environment. Raises DeploymentError.
    """
    application = application or Application()
    # One build at a time: another copy of this checkout waits for it, then finds it done.
    with locked(application.build):
        build(application, report)
        built = yaml.safe_load(application.built_template.read_text())
        parameters = parameters_for(application, built, overrides or {})
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": stack,
            "AWS::URLSuffix": "amazonaws.com",
        }
        pruned = prune(built, pseudo | parameters)
        mark = _mark(aws, application, parameters, stack)
        stamp = aws.state / "deployed.json"
        if _read(stamp) == mark:
            return Deployment(outputs(aws, stack), pruned.left_out, changed=False)
        stamp.unlink(missing_ok=True)
        report(f"Deploying stack {stack}")
        if aws.estate is not None:
            create_documents(aws, pruned)
        _sam_deploy(aws, application, pruned, parameters, stack)
    stamp.write_text(json.dumps(mark))
    return Deployment(outputs(aws, stack), pruned.left_out, changed=True)


def build(application: Application, report: Callable[[str], None] = silent) -> bool:
    """Runs `sam build` for this machine unless what it made is still current; says whether it ran."""
    stamp = application.build / "built.json"
    mark = {"sources": digest(application.root), "sam": SAM_CLI, "architecture": architecture()}
    if _read(stamp) == mark and application.built_template.exists():
        return False
    stamp.unlink(missing_ok=True)
    report("Building the functions and layers with the SAM CLI")
    _sam(
        [
            "build",
            "--template-file",
            str(application.template),
            "--build-dir",
            str(application.build / "artifacts"),
        ],
        tool_environment() | {"SIGNALBOX_ARCHITECTURE": architecture(), "SIGNALBOX_LAYER_PLATFORM": "host"},
        application.root,
    )
    stamp.write_text(json.dumps(mark))
    return True


def outputs(aws: EmbeddedAws, stack: str = STACK) -> dict[str, str]:
    """A deployed stack's outputs. Raises DeploymentError if there is no such stack."""
    try:
        found = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        raise DeploymentError(f"There is no stack {stack}: run `make up` first.") from error
    return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}


def tool_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The caller's environment for a build tool: .venv first on PATH, nothing of a real AWS account."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "PYTHON", "SAM_CLI_", "VIRTUAL_ENV"))
    }
    path = os.pathsep.join([str(ROOT / ".venv" / "bin"), environment.get("PATH", os.defpath)])
    return kept | {"PATH": path, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}


def _sam_deploy(
    aws: EmbeddedAws, application: Application, pruned: Pruned, parameters: Mapping[str, str], stack: str
) -> None:
    aws.client("s3").create_bucket(Bucket=BUCKET)
    # Beside the built one: its artifacts are named relative to it.
    template = application.built_template.with_name("template-embedded.yaml")
    template.write_text(
        yaml.safe_dump(with_json_definitions(pruned.template, template.parent), sort_keys=False)
    )
    proxies = ",".join(filter(None, [os.environ.get("NO_PROXY"), aws.environment()["NO_PROXY"]]))
    arguments = [f"{name}={value}" for name, value in parameters.items()]
    _sam(
        [
            *("deploy", "--template-file", str(template), "--stack-name", stack, "--s3-bucket", BUCKET),
            *("--config-file", str(application.root / "samconfig.toml"), "--config-env", "local"),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
            *(("--parameter-overrides", *arguments) if arguments else ()),
        ],
        tool_environment() | aws.environment() | {"NO_PROXY": proxies, "SAM_CLI_POLL_DELAY": "0.2"},
        application.root,
    )


def with_json_definitions(template: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The template with each state machine's definition as a JSON file of `folder`.

    AWS takes YAML there as well ("AWS::StepFunctions::StateMachine S3Location", CloudFormation
    reference); ministack reads JSON only.
    """
    resources = dict(template["Resources"])
    for name, resource in resources.items():
        source = resource.get("Properties", {}).get("DefinitionUri")
        if isinstance(source, str):
            definition = yaml.safe_load((folder / source).read_text())
            (folder / f"{name}.asl.json").write_text(json.dumps(definition))
            properties = resource["Properties"] | {"DefinitionUri": f"{name}.asl.json"}
            resources[name] = resource | {"Properties": properties}
    return dict(template) | {"Resources": resources}


def _sam(arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
    python = ROOT / ".venv" / "bin" / "python"
    command = [
        str(python.with_name("uvx")),
        "--quiet",
        "--python",
        str(python),
        "--from",
        SAM_CLI,
        "sam",
        *arguments,
    ]
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DeploymentError(
            f"`sam {arguments[0]}` failed:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}".rstrip()
        )


def parameters_for(
    application: Application, built: Mapping[str, Any], overrides: Mapping[str, str]
) -> dict[str, str]:
    """What to deploy a template with: samconfig.toml's `local`, this machine's architecture, `overrides`.

    Raises DeploymentError for an override of a parameter the template doesn't have.
    """
    config = tomllib.loads((application.root / "samconfig.toml").read_text())
    configured = (
        config.get("local", {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    )
    if isinstance(configured, str):
        configured = configured.split()
    parameters = (
        dict(item.split("=", 1) for item in configured) | {"Architecture": architecture()} | dict(overrides)
    )
    declared = built.get("Parameters", {})
    unknown = sorted(set(overrides) - set(declared))
    if unknown:
        raise DeploymentError(
            f"template.yaml has no parameter {', '.join(unknown)}; it has {', '.join(declared)}."
        )
    return {name: value for name, value in parameters.items() if name in declared}


def create_documents(place: Clients, pruned: Pruned) -> None:
    """Makes in the estate what was left out of the spine's template for it."""
    ssm = place.client("ssm")
    for name, properties in pruned.documents.items():
        try:
            ssm.delete_document(Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidDocument":
                raise
        ssm.create_document(
            Name=name,
            Content=json.dumps(properties["Content"]),
            DocumentType=properties.get("DocumentType", "Command"),
            DocumentFormat="JSON",
        )


def _mark(
    aws: EmbeddedAws, application: Application, parameters: Mapping[str, str], stack: str
) -> dict[str, Any]:
    # The spine forgets everything when it ends: the process is part of what was deployed to.
    return {
        "spine": asdict(aws.spine.record),
        "sources": digest(application.root),
        "parameters": dict(parameters),
        "stack": stack,
    }


def digest(root: Path) -> str:
    """A hash of everything below `root` that decides what a build makes."""
    hashed = hashlib.sha256()
    for source in SOURCES:
        path = root / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and not IGNORED.intersection(file.parts):
                hashed.update(f"{file.relative_to(root)}\0".encode())
                hashed.update(hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()


def _read(stamp: Path) -> object:
    try:
        return json.loads(stamp.read_text())
    except (FileNotFoundError, ValueError):
        return None
