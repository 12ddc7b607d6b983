"""The processes of one build: commands one after the other, and an end that leaves none.

All are in one process group, whose leader watches: it holds the read end of a pipe to us, and kills the group
when that closes, however we end.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WATCH = "read -r _; kill -KILL 0"
# The directory and what is exported live on from command to command, as with version 0.2 of the buildspec.
# Arguments: the command, the file for what lives on, whether all has succeeded so far.
COMMAND = """\
_command=$1 _state=$2 _succeeding=$3
set --
if [ -e "$_state" ]; then . "$_state"; cd -- "$PWD"; fi
export CODEBUILD_BUILD_SUCCEEDING=$_succeeding
trap 'export -p > "$_state"' EXIT
eval "$_command"
"""


class Shell:
    """Runs commands in `folder`, which it makes. What they write goes to the file `output` there."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._sources, home, temporary = (folder / name for name in ("src", "home", "tmp"))
        for part in (self._sources, home, temporary):
            part.mkdir(parents=True)
        self._environment = {
            **environment,
            "CODEBUILD_SRC_DIR": str(self._sources),
            "HOME": str(home),
            "TMPDIR": str(temporary),
        }
        self._read = 0
        self._lock = Lock()
        self._watch: subprocess.Popen[bytes] | None = subprocess.Popen(
            ["bash", "-c", WATCH], stdin=subprocess.PIPE, process_group=0, cwd=folder
        )

    def run(self, command: str, *, succeeding: bool, seconds: float) -> int:
        """The exit status; negative when it was killed. Raises TimeoutError."""
        with self._lock, (self._folder / "output").open("ab") as output:
            if self._watch is None:
                return -signal.SIGKILL
            arguments = [command, str(self._folder / "state"), str(int(succeeding))]
            child = subprocess.Popen(
                ["bash", "-c", COMMAND, "bash", *arguments],
                cwd=self._sources,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self._watch.pid,
            )
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired as error:
            self.end()
            child.wait()
            raise TimeoutError from error

    def lines(self) -> list[str]:
        """What has been written since the last time."""
        path = self._folder / "output"
        if not path.exists():
            return []
        with path.open("rb") as output:
            output.seek(self._read)
            found = output.read()
        self._read += len(found)
        return found.decode(errors="replace").splitlines()

    def end(self) -> None:
        """Kills whatever still runs. Harmless when repeated."""
        with self._lock:
            if self._watch is None:
                return
            with suppress(ProcessLookupError):
                os.killpg(self._watch.pid, signal.SIGKILL)
            self._watch.communicate()
            self._watch = None
