"""The layer of the Kubernetes client, built as `sam build` builds it."""

from pathlib import Path

import pytest

from tests.local.test_layers import build, build_all, run_with

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
    build_all("kubernetes", "build-KubernetesLayer", kubernetes, others, scratch)
    said = run_with(PROGRAM, kubernetes, others, scratch=scratch)
    assert said == str(kubernetes / "python" / "lightkube" / "__init__.py")


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_each_architecture_gets_its_own_wheels_and_nothing_twice(
    tmp_path: Path, scratch: Path, architecture: str, machine: str
) -> None:
    build("kubernetes", "build-KubernetesLayer", tmp_path, scratch, SIGNALBOX_ARCHITECTURE=architecture)
    compiled = [path.name for path in (tmp_path / "python").rglob("*.so")]
    assert compiled == [f"_yaml.cpython-313-{machine}-linux-gnu.so"]
    for name in BROUGHT_BY_OTHERS:
        assert not (tmp_path / "python" / name).exists(), name
