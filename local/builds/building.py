"""Takes one build through its phases ("Build phase transitions", CodeBuild User Guide)."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Protocol

from local.builds.records import ended, entered, left
from local.builds.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local.builds.buildspec import Buildspec
    from local.builds.records import Record, Status
    from local.builds.turns import Turns

COMMANDS = ("INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD")
AFTER_A_FAILED_BUILD = ("POST_BUILD", "UPLOAD_ARTIFACTS")

logger = logging.getLogger("signalbox.builds")


class PhaseError(Exception):
    """A phase that ends the build, or the part of it before POST_BUILD; with what CodeBuild says."""

    def __init__(self, status: Status, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Outside(Protocol):
    """What a build needs of the AWS around it."""

    def save(self, record: Record) -> None:
        """Answers this from now on."""

    def tell(self, record: Record) -> None:
        """Puts the event of its status on the bus."""

    def provision(self, record: Record) -> Mapping[str, str]:
        """The environment, with credentials of the service role. Raises PhaseError."""
        ...

    def write(self, record: Record, lines: Sequence[str]) -> None:
        """Adds to its log."""


@dataclass(slots=True)
class Build:
    """One build. `run` takes it from QUEUED to its end, in a thread of its own.

    `minute`: the seconds of one, which its timeout is in.
    """

    record: Record
    spec: Buildspec
    outside: Outside
    turns: Turns
    folder: Path
    minute: float = 60.0
    _shell: Shell | None = None
    _stopped: Event = field(default_factory=Event)
    _complete: Event = field(default_factory=Event)
    _give_up_at: float = 0.0

    @property
    def id(self) -> str:
        return str(self.record["id"])

    def run(self) -> None:
        """Saves and tells each change. It never raises: what goes wrong here is the build's FAULT."""
        try:
            self.outside.tell(self.record)
            self._finish(self._phases() if self.turns.take(self.id) else "STOPPED")
        except Exception:
            logger.exception("%s failed here", self.id)
            self._finish("FAULT")
        finally:
            self.turns.leave(self.id)
            self._complete.set()

    def stop(self) -> None:
        """Kills its processes, and returns when it has ended. One that is complete stays as it is."""
        self._stopped.set()
        self.turns.leave(self.id)
        self.kill()
        self._complete.wait()

    def kill(self) -> None:
        """Kills its processes."""
        if self._shell is not None:
            self._shell.end()

    def _phases(self) -> Status:
        self._give_up_at = time.monotonic() + self.record["timeoutInMinutes"] * self.minute
        self._save(left(self.record, "SUCCEEDED", time.time()))
        result: Status = "SUCCEEDED"
        failed_in = ""
        for phase in ("PROVISIONING", "DOWNLOAD_SOURCE", *COMMANDS, "UPLOAD_ARTIFACTS"):
            if failed_in and not (failed_in in COMMANDS[2:] and phase in AFTER_A_FAILED_BUILD):
                continue
            status = self._phase(phase, succeeding=not failed_in)
            if status in ("STOPPED", "TIMED_OUT"):
                return status
            if status != "SUCCEEDED":
                result, failed_in = status, phase
        self._phase("FINALIZING", succeeding=not failed_in)
        return result

    def _phase(self, phase: str, *, succeeding: bool) -> Status:
        self._save(entered(self.record, phase, time.time()))
        try:
            self._work(phase, succeeding=succeeding)
        except PhaseError as error:
            self._save(left(self.record, error.status, time.time(), error.code, str(error)))
            self._write(f"Phase complete: {phase} State: {error.status}", str(error))
            return error.status
        self._save(left(self.record, "SUCCEEDED", time.time()))
        self._write(f"Phase complete: {phase} State: SUCCEEDED")
        return "SUCCEEDED"

    def _work(self, phase: str, *, succeeding: bool) -> None:
        if phase == "PROVISIONING":
            self._provision()
        for command in self.spec.commands.get(phase, ()):
            self._command(command, succeeding=succeeding)
        if self._stopped.is_set():
            raise PhaseError("STOPPED")

    def _provision(self) -> None:
        environment = self.outside.provision(self.record)
        given = {each["name"]: each["value"] for each in self.record["environment"]["environmentVariables"]}
        self._shell = Shell(self.folder, {**self.spec.variables, **given, **environment})

    def _command(self, command: str, *, succeeding: bool) -> None:
        if self._shell is None or self._stopped.is_set():
            raise PhaseError("STOPPED")
        self._write(f"Running command {command}")
        left_seconds = self._give_up_at - time.monotonic()
        try:
            status = self._shell.run(command, succeeding=succeeding, seconds=max(0.0, left_seconds))
        except TimeoutError:
            minutes = self.record["timeoutInMinutes"]
            raise PhaseError(
                "TIMED_OUT", "BUILD_TIMED_OUT", f"Build has timed out after {minutes} minutes."
            ) from None
        finally:
            self.outside.write(self.record, self._shell.lines())
        if self._stopped.is_set():
            raise PhaseError("STOPPED")
        if status:
            raise PhaseError(
                "FAILED",
                "COMMAND_EXECUTION_ERROR",
                f"Error while executing command: {command}. Reason: exit status {status}",
            )

    def _finish(self, status: Status) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        now = time.time()
        if "phaseStatus" not in self.record["phases"][-1]:
            self.record = left(self.record, status, now)
        self._save(ended(self.record, status, now))
        self.outside.tell(self.record)

    def _save(self, record: Record) -> None:
        self.record = record
        self.outside.save(record)

    def _write(self, *lines: str) -> None:
        moment = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime())
        self.outside.write(self.record, [f"[Container] {moment} {line}" for line in lines if line])
