"""Whatever becomes of the process that converts, the caller gets a verdict, and nobody outlives it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from signalbox.documents.conversion import sandbox
from signalbox.documents.conversion.confined import BATCHES
from signalbox.documents.conversion.converters import Conversion, Limits, Source
from signalbox.documents.conversion.sandbox import Sandbox
from signalbox.documents.models import Outcome
from signalbox.errors import InvariantError, UnavailableError

LEGACY = "caf\u00e9 ".encode("cp1252") * 20
"""A text whose encoding the detector is asked for."""
LEAVES_TOO_MUCH = """open("result.json", "w").write('{"media_type": "text/plain"}'.ljust(2**18))"""
MISBEHAVING = """
import ctypes, os, signal, subprocess, sys, time

def detect(raw, **_):
{what}
    return {{"encoding": "cp1252"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


class Detector:
    """A library of a converter's that does what a test says."""

    def __init__(self, place: Path) -> None:
        self._file = place / "chardet.py"

    def does(self, *lines: str) -> None:
        self._file.write_text(MISBEHAVING.format(what="\n".join(f"    {line}" for line in lines)))

    def is_missing(self) -> None:
        self._file.write_text("raise ImportError('no such library')")


@pytest.fixture
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detector:
    (tmp_path / "libraries").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "libraries"), *sys.path])
    return Detector(tmp_path / "libraries")


def convert(folder: Path, content: bytes = LEGACY, **limits: float) -> Conversion:
    file = folder.parent / "object"
    file.write_bytes(content)
    chosen = Limits(**limits)  # type: ignore[arg-type]  # whichever a test is about
    source = Source(file=str(file), media_type="text/plain", limits=chosen)
    return Sandbox(os.environ).convert(source, folder)


def verdict(conversion: Conversion) -> tuple[Outcome, str]:
    assert conversion.verdict
    assert conversion.verdict.detail.endswith(".")
    return conversion.verdict.outcome, conversion.verdict.reason


def test_a_file_is_converted(folder: Path) -> None:
    assert convert(folder).characters == 100
    assert (folder / BATCHES).exists()


@pytest.mark.parametrize(
    ("what", "outcome", "reason", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", Outcome.CORRUPT, "converter-crashed", "SIGSEGV"),
        ("os.kill(os.getpid(), 40)", Outcome.CORRUPT, "converter-crashed", "signal 40"),
        ("ctypes.string_at(0)", Outcome.CORRUPT, "converter-crashed", "SIGSEGV"),
        ("os._exit(3)", Outcome.CORRUPT, "converter-crashed", "status 3"),
        ("os._exit(0)", Outcome.CORRUPT, "converter-crashed", "status 0"),
        (f"{LEAVES_TOO_MUCH}; os._exit(0)", Outcome.CORRUPT, "converter-crashed", "status 0"),
        ("sys.exit(0)", Outcome.CORRUPT, "converter-crashed", "SystemExit"),
        ("raise ValueError('odd')", Outcome.CORRUPT, "converter-crashed", "ValueError: odd"),
        ("again = lambda: again(); again()", Outcome.CORRUPT, "converter-crashed", "RecursionError"),
        ("bytearray(2**31)", Outcome.TOO_LARGE, "out-of-memory", "1,073,741,824 bytes"),
        ("held = [bytes(2**20) for _ in range(2_000)]", Outcome.TOO_LARGE, "out-of-memory", "memory"),
        ("os.abort()", Outcome.TOO_LARGE, "out-of-memory", "memory"),
        ("os.kill(os.getpid(), signal.SIGKILL)", Outcome.TOO_LARGE, "out-of-memory", "memory"),
        ("open('large', 'wb').write(bytes(2**20))", Outcome.TOO_LARGE, "output-limit", "room"),
    ],
)
def test_however_it_ends_there_is_a_verdict(
    what: str, outcome: Outcome, reason: str, says: str, folder: Path, detector: Detector
) -> None:
    detector.does(what)
    conversion = convert(folder, file_bytes=2**19)
    assert verdict(conversion) == (outcome, reason)
    assert conversion.verdict
    assert says in conversion.verdict.detail


def test_who_computes_for_ever_is_stopped(folder: Path, detector: Detector) -> None:
    detector.does("while True: pass")
    assert verdict(convert(folder, seconds=0.2)) == (Outcome.TIMED_OUT, "time-limit")


def test_who_waits_for_ever_is_stopped(
    folder: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "START_SECONDS", 2.0)
    detector.does("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "time.sleep(600)")
    assert verdict(convert(folder, seconds=0.2)) == (Outcome.TIMED_OUT, "time-limit")


@pytest.mark.parametrize("ends", ["time.sleep(600)", "os._exit(3)", "pass"])
def test_nobody_outlives_it(
    ends: str, folder: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may start a process in there; it ends with the one that it came of."""
    monkeypatch.setattr(sandbox, "START_SECONDS", 2.0)
    alive = folder.parent / "alive"
    os.mkfifo(alive)
    held = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    detector.does(
        f"child = open({str(alive)!r}, 'wb', buffering=0)",
        "if os.fork() == 0: time.sleep(600)",
        "child.write(b'x')",
        ends,
    )
    convert(folder, seconds=0.2)
    assert os.read(held, 2) == b"x"
    os.set_blocking(held, True)
    assert os.read(held, 2) == b""  # its end: nobody holds the other one any more
    os.close(held)


def test_it_knows_no_variable_of_ours(
    folder: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    detector.does("raise ValueError(sorted(os.environ))")
    conversion = convert(folder)
    assert conversion.verdict
    assert conversion.verdict.detail == "The converter failed: ValueError: ['LC_CTYPE', 'LD_LIBRARY_PATH']."


def test_a_missing_library_is_our_fault_not_the_documents(folder: Path, detector: Detector) -> None:
    detector.is_missing()
    with pytest.raises(InvariantError, match="no such library"):
        convert(folder)


def test_a_process_that_cannot_begin_is_our_fault_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(InvariantError, match="did not begin"):
        convert(folder)


def test_no_process_to_be_had_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(UnavailableError, match="no process"):
        convert(folder)


def test_no_room_is_tried_again(folder: Path, detector: Detector) -> None:
    detector.does("raise OSError(28, 'No space left on device')")
    with pytest.raises(UnavailableError, match="ephemeral storage"):
        convert(folder)


PEEKING = """
import ctypes, os
from pathlib import Path
from signalbox.documents.conversion.sandbox import PR_SET_DUMPABLE, keep_to_oneself

def peek():
    child = os.fork()
    if child == 0:
        try:
            Path(f"/proc/{os.getppid()}/environ").read_bytes()
        except PermissionError:
            os._exit(13)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

if os.getuid() == 0:
    os.setuid(65534)  # root may read everything
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
before = peek()
keep_to_oneself()
print(before, peek())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_nobody_of_the_same_user_reads_our_environment() -> None:
    """An environment of its own is worth little, if the process could read its parent's."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", PEEKING],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "AWS_SECRET_ACCESS_KEY": "secret"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "13"]
