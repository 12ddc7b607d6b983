"""The layer of the Kubernetes client, built as `sam build` builds it."""

import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.local.test_layers import IN_RUNTIME, build

PROGRAM = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:]
import signalbox.spot.kubernetes_clusters
import lightkube
print(lightkube.__file__)
"""
BROUGHT_BY_OTHERS = ("boto3", "botocore", "urllib3", "msgspec", "typing_extensions.py")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def test_the_adapters_imports_are_all_in_the_layers(tmp_path: Path, scratch: Path) -> None:
    kubernetes, others = tmp_path / "kubernetes", tmp_path / "others"
    build("kubernetes", "build-KubernetesLayer", kubernetes, scratch, SIGNALBOX_LAYER_PLATFORM="host")
    build("dependencies", "build-DependenciesLayer", others, scratch, SIGNALBOX_LAYER_PLATFORM="host")
    build("signalbox", "build-SignalboxLayer", others, scratch)
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in IN_RUNTIME:
        (runtime / name).symlink_to(Path(boto3.__file__).parent.parent / name)
    places = [str(kubernetes / "python"), str(others / "python"), str(runtime)]
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-I", "-S", "-B", "-c", PROGRAM, *places],
        env={"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_NAME": "any"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(kubernetes / "python" / "lightkube" / "__init__.py")


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_each_architecture_gets_its_own_wheels_and_nothing_twice(
    tmp_path: Path, scratch: Path, architecture: str, machine: str
) -> None:
    build("kubernetes", "build-KubernetesLayer", tmp_path, scratch, SIGNALBOX_ARCHITECTURE=architecture)
    compiled = [path.name for path in (tmp_path / "python").rglob("*.so")]
    assert compiled == [f"_yaml.cpython-313-{machine}-linux-gnu.so"]
    for name in BROUGHT_BY_OTHERS:
        assert not (tmp_path / "python" / name).exists(), name
