"""The file that tells others where the running copy is."""

import os
import subprocess
from pathlib import Path

from local.deployment import tool_environment
from local.embedded import (
    ESTATE_ENDPOINT_VARIABLES,
    client_environment,
    inherited_environment,
    spine_environment,
)
from local.running import read_environment, write_environment

VALUES = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "STACK_Odd": "a b'c$d"}


def test_the_file_comes_back_as_it_was(tmp_path: Path) -> None:
    write_environment(tmp_path / "new" / "env", VALUES)
    assert read_environment(tmp_path / "new" / "env") == VALUES


def test_a_shell_reads_it_too(tmp_path: Path) -> None:
    write_environment(tmp_path / "env", VALUES)
    script = f". {tmp_path / 'env'}; printf '%s' \"$STACK_Odd\""
    assert subprocess.check_output(["/bin/sh", "-c", script], text=True) == VALUES["STACK_Odd"]  # noqa: S603 - a shell is what is tested


def test_plain_values_stand_unquoted(tmp_path: Path) -> None:
    write_environment(tmp_path / "env", VALUES)
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:4566\n" in (tmp_path / "env").read_text()


def test_where_nothing_runs_there_is_no_environment(tmp_path: Path) -> None:
    assert read_environment(tmp_path / "env") == {}


def test_the_emulators_see_nothing_of_a_real_account(tmp_path: Path) -> None:
    mine = {
        "AWS_PROFILE": "prod",
        "AWS_SESSION_TOKEN": "real",
        "HTTPS_PROXY": "http://proxy",
        "HOME": "/h",
        "PATH": "/p",
    }
    assert inherited_environment(mine) == {"HOME": "/h", "PATH": "/p"}
    environment = spine_environment(
        1,
        estate_url="http://e",
        codeartifact_url="http://c",
        scratch=tmp_path,
        enforce_iam=True,
        wait_scale=0.5,
    )
    assert environment["AUTH"] == "true"
    assert environment["SFN_WAIT_SCALE"] == "0.5"
    assert environment["AWS_DISABLE_HOST_PREFIX_INJECTION"] == "true"
    assert "AWS_ENDPOINT_URL" not in environment, "the workers' default must be the spine they belong to"
    assert {environment[name] for name in ESTATE_ENDPOINT_VARIABLES.values()} == {"http://e"}
    assert environment["AWS_ENDPOINT_URL_CODEARTIFACT"] == "http://c"


def test_build_tools_see_nothing_of_a_real_account_either() -> None:
    mine = {"AWS_PROFILE": "prod", "PYTHONPATH": "x", "HTTPS_PROXY": "http://proxy", "PATH": "/p"}
    environment = tool_environment(mine)
    assert not {"AWS_PROFILE", "PYTHONPATH"} & environment.keys()
    assert environment["HTTPS_PROXY"] == "http://proxy"
    first, *rest = environment["PATH"].split(os.pathsep)
    assert first.endswith(".venv/bin")
    assert rest == ["/p"]


def test_without_an_estate_no_service_is_pointed_at_it() -> None:
    assert not [name for name in client_environment(None, None) if "ENDPOINT" in name]
