"""The processes of a build: what lives on between commands, and that none is left."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.builds.image import AWS_CLI, write_image
from local.builds.shell import Shell
from local.processes import beginning
from local.settings import ROOT

PATH = os.environ["PATH"]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "build", {"PATH": PATH, "GIVEN": "given"})
    yield shell
    shell.end()


def run(shell: Shell, command: str, *, succeeding: bool = True, seconds: float = 30) -> tuple[int, list[str]]:
    return shell.run(command, succeeding=succeeding, seconds=seconds), shell.lines()


def test_folder_and_exported_variables_live_on(shell: Shell) -> None:
    run(shell, "mkdir made && cd made\nexport TEXT='two\nlines \"$GIVEN\"'; hidden=1; set -- x")
    status, lines = run(shell, 'echo "$PWD" "$TEXT" "$hidden$1"; echo err >&2; echo $CODEBUILD_SRC_DIR')
    source = lines[-1]
    assert (status, lines) == (0, [f"{source}/made two", 'lines "$GIVEN" ', "err", source])


@pytest.mark.parametrize(("command", "status"), [("exit 3", 3), ("false", 1), ("kill -9 $$", -9), ("(", 2)])
def test_a_command_that_fails_ends_alone(shell: Shell, command: str, status: int) -> None:
    run(shell, "export KEPT=yes")
    assert run(shell, command)[0] == status
    assert run(shell, "echo $KEPT $CODEBUILD_BUILD_SUCCEEDING", succeeding=False) == (0, ["yes 0"])


def test_it_has_a_home_of_its_own_and_nothing_of_ours(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    _, lines = run(shell, "env | cut -d= -f1 | sort; cd; pwd; cd $TMPDIR; pwd")
    names, (home, temporary) = lines[:-2], lines[-2:]
    assert {"GIVEN", "HOME", "PATH", "TMPDIR", "CODEBUILD_SRC_DIR"} <= set(names)
    assert "SECRET_OF_OURS" not in names
    assert Path(home).parent == Path(temporary).parent


def test_a_command_that_takes_too_long_is_killed_with_all_it_started(shell: Shell) -> None:
    run(shell, "sleep 600 & echo $!")
    with pytest.raises(TimeoutError):
        shell.run("sleep 600 & echo $!; sleep 600", succeeding=True, seconds=0.2)
    assert [line for line in shell.lines() if beginning(int(line))] == []
    assert run(shell, "echo never") == (-9, [])


def test_when_we_are_gone_so_are_they(tmp_path: Path) -> None:
    program = (
        "import os, pathlib; from local.builds.shell import Shell\n"
        f"shell = Shell(pathlib.Path({str(tmp_path / 'build')!r}), dict(PATH=os.environ['PATH']))\n"
        "shell.run('nohup sleep 600 & echo $!', succeeding=True, seconds=30)\n"
        "print(*shell.lines(), flush=True); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(  # noqa: S603 - the program is above
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -9, done.stderr
    give_up_at = time.monotonic() + 30
    while beginning(int(done.stdout)) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    assert not beginning(int(done.stdout))


def test_the_image_has_the_pinned_cli_with_the_callers_settings_of_uv(tmp_path: Path) -> None:
    mine = {
        "HOME": "/h",
        "HTTPS_PROXY": "http://a proxy",
        "NO_PROXY": "index",
        "UV_INDEX_URL": "http://index",
        "AWS_PROFILE": "prod",
    }
    write_image(tmp_path / "image", mine)
    command = tmp_path / "image" / "aws"
    assert command.stat().st_mode & 0o777 == 0o700
    text = command.read_text()
    assert f'--from {AWS_CLI} aws "$@"' in text
    for setting in (
        "UV_CACHE_DIR=/h/.cache/uv",
        "HTTPS_PROXY='http://a proxy'",
        "UV_INDEX_URL=http://index",
        "NO_PROXY=index,127.0.0.1,localhost",
    ):
        assert f" {setting} " in f" {text.replace(chr(10), ' ')} "
    assert "prod" not in text
