"""Child processes with a log, a record on disk, and an end.

A record (one JSON file a process) is what lets a later command stop what an earlier one started. Process ids
are used again by the system, so a record also holds when the process began: before anything is killed, that
must still be true of the id.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

POLL_SECONDS = 0.03
LOG_LINES_SHOWN = 15


class ProcessError(RuntimeError):
    """A child that didn't start, didn't become healthy or didn't end; says where its log is."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One started process: `began` is the system's own mark of when, unique together with the id."""

    name: str
    pid: int
    began: str
    log: str


@dataclass(slots=True)
class LocalProcess:
    """A process this project started, in this run or in an earlier one."""

    record: ProcessRecord
    path: Path
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def start(
        cls,
        module: str,
        arguments: Sequence[str],
        *,
        state: Path,
        environment: Mapping[str, str],
        tethered: bool,
    ) -> Self:
        """Starts `python -m module` in a session of its own, logging to `state`/logs.

        A tethered process ends when this one does, however this one ends. An untethered one stays.
        """
        name = module.rpartition(".")[2]
        log = state / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        launcher = ["local.tether", module] if tethered else [module]
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", *launcher, *arguments],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE if tethered else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record = ProcessRecord(name=name, pid=child.pid, began=beginning(child.pid) or "", log=str(log))
        process = cls(record, record_path(state, name), child)
        process.path.parent.mkdir(parents=True, exist_ok=True)
        process.path.write_text(json.dumps(asdict(record)))
        return process

    @classmethod
    def recorded(cls, state: Path, name: str) -> Self | None:
        """The process an earlier run recorded as `name`, if it still runs. A stale record is removed."""
        path = record_path(state, name)
        try:
            process = cls(ProcessRecord(**json.loads(path.read_text())), path)
        except (FileNotFoundError, ValueError, TypeError):
            return None
        if process.alive():
            return process
        path.unlink(missing_ok=True)
        return None

    def alive(self) -> bool:
        """Whether the process runs, and is the one that was started."""
        if self.child is not None:
            return self.child.poll() is None
        return bool(self.record.began) and beginning(self.record.pid) == self.record.began

    def wait_until(self, healthy: Callable[[], bool], seconds: float) -> None:
        """Returns as soon as `healthy()`. Raises ProcessError, with the log's end, if that never comes."""
        deadline = time.monotonic() + seconds
        while not healthy():
            if not self.alive():
                raise ProcessError(f"{self.record.name} ended while it was starting.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{self.record.name} did not answer within {seconds:g} s.\n{self.log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self, grace_seconds: float = 8.0) -> None:
        """SIGTERM, then SIGKILL; harmless when it is gone. Raises ProcessError if it can't be ended."""
        if not self._ended_by(signal.SIGTERM, grace_seconds) and not self._ended_by(signal.SIGKILL, 5.0):
            raise ProcessError(f"{self.record.name} (process {self.record.pid}) could not be ended")
        if self.child is not None and self.child.stdin is not None:
            self.child.stdin.close()
        self.path.unlink(missing_ok=True)

    def _ended_by(self, number: signal.Signals, seconds: float) -> bool:
        if not self.alive():
            return True
        try:
            os.kill(self.record.pid, number)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def log_tail(self) -> str:
        """The last lines of the log, under a line that says where the rest is."""
        log = Path(self.record.log)
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:] if log.exists() else []
        return "\n".join([f"Its log is {log}:", *(f"  {line}" for line in lines or ["(empty)"])])


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time gets past this for one `folder`; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record_path(state: Path, name: str) -> Path:
    """Where the record of the process `name` lies."""
    return state / "processes" / f"{name}.json"


def beginning(pid: int) -> str | None:
    """The system's mark of when `pid` began; None if there is no such process, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if sys.platform == "linux" else _mark_by_ps(pid)
    except ProcessLookupError:
        return None
    # The name, in parentheses, may hold anything; after it come the state (first) and the start time (20th).
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def _mark_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    return " ".join(answer[1:]) if answer and not answer[0].startswith("Z") else None
