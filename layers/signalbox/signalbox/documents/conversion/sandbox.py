"""Runs a conversion in a process of its own, and makes a verdict of whatever becomes of that process.

Why, and what it does not keep out: docs/adr/0021-parsers-in-a-process-of-their-own.md.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer

import msgspec

from signalbox.documents.conversion import confined
from signalbox.documents.conversion.converters import Conversion, Source
from signalbox.documents.models import Outcome, Verdict
from signalbox.errors import InvariantError, UnavailableError

CONFINED = Path(confined.__file__)
START_SECONDS = 10.0
"""For the interpreter and its imports, on top of the conversion's own time."""
HANDED_ON = frozenset({"LD_LIBRARY_PATH"})
"""The only variables that the process is given: Lambda's Python finds its library by this one."""
MOST_RESULT_BYTES = 1 << 14
"""Some hundred is usual. Who took a parser over may leave anything; Step Functions takes 256 KB."""
SIGNALS = {each.value: each.name for each in signal.Signals}
COMPLAINT = "complaint"
PR_SET_DUMPABLE = 4
OUT_OF_MEMORY = frozenset({confined.OUT_OF_MEMORY, -signal.SIGABRT, -signal.SIGKILL})
"""How a process ends that gets no memory: libraries in Rust and C++ abort, the kernel kills."""


class Sandbox:
    """Converts files, each in a process of its own, without credentials, and with limits on all it takes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {name: value for name, value in environment.items() if name in HANDED_ON}

    def convert(self, source: Source, folder: Path) -> Conversion:
        """What it came to; the batches, or a scan's pages, are in the folder, which was empty.

        Raises:
            UnavailableError: worth trying again: there was no room, or no process to be had.
            InvariantError: the process could not begin: a library is missing.
        """
        status = self._run(source, folder)
        if not (folder / confined.READY).exists() or status == confined.NOT_READY:
            raise InvariantError(f"the converter's process did not begin ({status}): {_complaint(folder)}")
        if status == confined.OUT_OF_ROOM:
            raise UnavailableError("no room for a conversion: raise the function's ephemeral storage")
        with suppress(OSError, msgspec.DecodeError):
            result = folder / confined.RESULT
            if status == 0 and result.stat().st_size <= MOST_RESULT_BYTES:
                return msgspec.json.decode(result.read_bytes(), type=Conversion)
        return Conversion(media_type=source.media_type, verdict=verdict_of(status, source))

    def _run(self, source: Source, folder: Path) -> int | None:
        """The process's exit status, below zero for a signal; None where its time was up."""
        request = msgspec.json.encode({"path": [path for path in sys.path if path], "source": source})
        try:
            with (folder / COMPLAINT).open("wb") as complaint:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                    [sys.executable, "-I", "-S", "-B", str(CONFINED)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=complaint,
                    cwd=folder,
                    env=self._environment,
                    process_group=0,
                )
        except OSError as error:
            raise UnavailableError(f"no process for a conversion: {error}") from error
        return _wait(process, request, START_SECONDS + source.limits.seconds)


def _wait(process: subprocess.Popen[bytes], request: bytes, seconds: float) -> int | None:
    """Its exit status, once it has ended by itself; None where it was made to.

    A timer, since `Popen` itself waits for so long by looking again and again, up to 50 ms apart.
    """
    time_is_up = Event()

    def end() -> None:
        time_is_up.set()
        _kill(process)

    timer = Timer(seconds, end)
    timer.start()
    try:
        process.communicate(request)
    finally:
        timer.cancel()
        _kill(process)
        process.wait()
    return None if time_is_up.is_set() else process.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def verdict_of(status: int | None, source: Source) -> Verdict:
    """What the end of a process says of the file, where it left no result."""
    limits = source.limits
    if status is None or status == -signal.SIGXCPU:
        detail = f"Its conversion as {source.media_type} took more than {limits.seconds:g} s."
        return Verdict(outcome=Outcome.TIMED_OUT, reason="time-limit", detail=detail)
    if status in OUT_OF_MEMORY:
        detail = (
            f"Its conversion as {source.media_type} takes more than {limits.memory_bytes:,} bytes of memory."
        )
        return Verdict(outcome=Outcome.TOO_LARGE, reason="out-of-memory", detail=detail)
    how = f"by {SIGNALS.get(-status, f'signal {-status}')}" if status < 0 else f"with status {status}"
    detail = f"Its conversion as {source.media_type} ended {how}: the file is damaged, or made to do harm."
    return Verdict(outcome=Outcome.CORRUPT, reason="converter-crashed", detail=detail)


def _complaint(folder: Path) -> str:
    return (folder / COMPLAINT).read_bytes()[-2_000:].decode(errors="replace").strip()


def keep_to_oneself() -> None:
    """From now on no other process of the same user reads this one's memory or environment: its credentials.

    `prctl(2)`, PR_SET_DUMPABLE: Linux, as in Lambda; elsewhere there is nothing like it.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, *(ctypes.c_ulong(0),) * 4) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
