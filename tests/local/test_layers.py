"""The layers, built as `sam build` builds them, carry all that the functions import."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from bench.functions import size
from local.deployment import tool_environment
from local.settings import ROOT

# What the managed runtime brings besides the layers.
IN_RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "six.py", "urllib3")
UNZIPPED = 12_000_000  # bytes of what a function loads, the Kubernetes client's layer apart
UNCHECKED = 0b01  # the flags of a .pyc: by its source's hash, and never compared (PEP 552)
PROGRAM = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:]
import aws_embedded_metrics
import aws_lambda_powertools
import aws_xray_sdk.core
import msgspec
import signalbox
print(msgspec.__file__)
"""


def build(layer: str, target: str, artifacts: Path, scratch: Path, **variables: str) -> None:
    # As the SAM CLI does it: the sources are copied elsewhere first.
    source = shutil.copytree(ROOT / "layers" / layer, scratch / layer)
    subprocess.run(  # noqa: S603 - the project's own Makefile
        ["make", "--silent", target, f"ARTIFACTS_DIR={artifacts}"],  # noqa: S607 - whichever make the user has
        cwd=source,
        env=tool_environment() | variables,
        check=True,
    )


def build_all(layer: str, target: str, artifacts: Path, others: Path, scratch: Path) -> None:
    """A layer of some functions alone, and beside it those that every function has."""
    build(layer, target, artifacts, scratch, SIGNALBOX_LAYER_PLATFORM="host")
    build("dependencies", "build-DependenciesLayer", others, scratch, SIGNALBOX_LAYER_PLATFORM="host")
    build("signalbox", "build-SignalboxLayer", others, scratch)


def run_with(program: str, *layers: Path, scratch: Path) -> str:
    """What a program says that finds the layers and what the runtime brings, and nothing else."""
    runtime = scratch / "runtime"
    runtime.mkdir()
    for name in IN_RUNTIME:
        (runtime / name).symlink_to(Path(boto3.__file__).parent.parent / name)
    places = [*(str(layer / "python") for layer in layers), str(runtime)]
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-I", "-S", "-B", "-c", program, *places],
        env={"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_NAME": "any"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def test_the_functions_imports_are_all_in_the_layers(tmp_path: Path, scratch: Path) -> None:
    artifacts = tmp_path / "artifacts"
    build("dependencies", "build-DependenciesLayer", artifacts, scratch, SIGNALBOX_LAYER_PLATFORM="host")
    build("signalbox", "build-SignalboxLayer", artifacts, scratch)
    said = run_with(PROGRAM, artifacts, scratch=scratch)
    assert said == str(artifacts / "python" / "msgspec" / "__init__.py")
    largest = max(size(folder) for folder in (ROOT / "functions").iterdir())
    assert size(artifacts) + largest <= UNZIPPED


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_each_architecture_gets_its_own_compiled_wheels(
    tmp_path: Path, scratch: Path, architecture: str, machine: str
) -> None:
    build("dependencies", "build-DependenciesLayer", tmp_path, scratch, SIGNALBOX_ARCHITECTURE=architecture)
    compiled = {path.name.partition(".")[0]: path.name for path in (tmp_path / "python").rglob("*.so")}
    assert compiled == {name: f"{name}.cpython-313-{machine}-linux-gnu.so" for name in ("_core", "_wrappers")}
    assert_compiled(tmp_path / "python")
    assert len(list(tmp_path.rglob("*.dist-info/METADATA"))) == len(list(tmp_path.rglob("*.dist-info")))


def assert_compiled(folder: Path) -> None:
    """Every module has bytecode that this Python takes without a look at its source."""
    for source in folder.rglob("*.py"):
        head = Path(importlib.util.cache_from_source(str(source))).read_bytes()[:8]
        assert head == importlib.util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little"), source


def test_a_layer_is_the_same_wherever_it_was_built(tmp_path: Path) -> None:
    built = []
    for name in ("one", "another-folder"):
        target = tmp_path / name / "artifacts"
        build("signalbox", "build-SignalboxLayer", target, tmp_path / name / "scratch")
        built.append({p.relative_to(target): p.read_bytes() for p in target.rglob("*") if p.is_file()})
    assert built[0] == built[1]
    assert_compiled(tmp_path / "one" / "artifacts" / "python")


def test_an_unknown_architecture_is_refused(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        build("dependencies", "build-DependenciesLayer", tmp_path, scratch, SIGNALBOX_ARCHITECTURE="mips")
