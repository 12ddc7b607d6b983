"""The layer of the converters' libraries, built as `sam build` builds it."""

from pathlib import Path

import pytest

from bench.functions import size
from signalbox.documents.conversion.converters import CONVERTERS
from tests.local.test_layers import build, build_all, run_with

PROGRAM = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:]
from signalbox.documents.conversion import inside
from signalbox.documents.conversion.converters import CONVERTERS, converter
for media_type in CONVERTERS:
    converter(media_type)
import pypdfium2
print(pypdfium2.__file__)
"""
UNZIPPED = 40_000_000
"""Bytes. A function may load 250 MB in all (Lambda quotas)."""
BROUGHT_BY_OTHERS = ("boto3", "botocore", "urllib3", "msgspec", "typing_extensions.py")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


def test_the_converters_imports_are_all_in_the_layers(tmp_path: Path, scratch: Path) -> None:
    documents, others = tmp_path / "documents", tmp_path / "others"
    build_all("documents", "build-DocumentsLayer", documents, others, scratch)
    said = run_with(PROGRAM, documents, others, scratch=scratch)
    assert said == str(documents / "python" / "pypdfium2" / "__init__.py")
    assert CONVERTERS


@pytest.mark.parametrize(("architecture", "machine"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_each_architecture_gets_its_own_wheels_and_nothing_twice(
    tmp_path: Path, scratch: Path, architecture: str, machine: str
) -> None:
    build("documents", "build-DocumentsLayer", tmp_path, scratch, SIGNALBOX_ARCHITECTURE=architecture)
    compiled = {path.name.partition(".")[2] for path in (tmp_path / "python").rglob("*.so")}
    assert compiled == {"so", f"cpython-313-{machine}-linux-gnu.so"}
    assert size(tmp_path) < UNZIPPED
    for name in BROUGHT_BY_OTHERS:
        assert not (tmp_path / "python" / name).exists(), name
