"""Children: they start, are found again, and end; nobody else's process ever does."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from local.processes import LocalProcess, ProcessError, ProcessRecord, beginning, record_path
from local.settings import ROOT

SLEEPER = "import time\nprint('awake', flush=True)\ntime.sleep(600)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
FAILING = "import sys\nprint('no such port')\nsys.exit(3)\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator["Starter"]:
    starter = Starter(tmp_path)
    yield starter
    for process in starter.started:
        process.stop(grace_seconds=0)


class Starter:
    """Starts modules written for a test, and remembers them."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.modules = folder / "modules"
        self.modules.mkdir()
        self.started: list[LocalProcess] = []

    def __call__(self, code: str, *, tethered: bool = True) -> LocalProcess:
        (self.modules / "sleeper.py").write_text(code)
        environment = {"PYTHONPATH": f"{self.modules}{os.pathsep}{ROOT}", "PATH": os.environ["PATH"]}
        process = LocalProcess.start(
            "sleeper", [], state=self.state, environment=environment, tethered=tethered
        )
        self.started.append(process)
        return process


def awake(process: LocalProcess) -> None:
    process.wait_until(lambda: "awake" in Path(process.record.log).read_text(), 20)


@pytest.mark.parametrize("tethered", [True, False])
def test_a_started_process_is_recorded_found_and_stopped(start: Starter, *, tethered: bool) -> None:
    process = start(SLEEPER, tethered=tethered)
    awake(process)
    found = LocalProcess.recorded(start.state, "sleeper")
    assert found is not None
    assert found.record == process.record
    assert found.alive()
    process.stop()
    assert not process.alive()
    assert not record_path(start.state, "sleeper").exists()
    process.stop()


def test_another_command_can_stop_it(start: Starter) -> None:
    process = start(SLEEPER, tethered=False)
    awake(process)
    found = LocalProcess.recorded(start.state, "sleeper")
    assert found is not None
    found.stop()
    assert not process.alive()
    assert LocalProcess.recorded(start.state, "sleeper") is None


def test_one_that_does_not_listen_is_killed(start: Starter) -> None:
    process = start(DEAF)
    awake(process)
    process.stop(grace_seconds=0.1)
    assert process.child is not None
    assert process.child.returncode == -signal.SIGKILL


def test_a_failed_start_shows_the_log(start: Starter) -> None:
    process = start(FAILING)
    with pytest.raises(ProcessError, match=r"sleeper ended while it was starting[\s\S]*no such port"):
        process.wait_until(lambda: False, 20)


def test_an_unhealthy_one_is_not_waited_for_for_ever(start: Starter) -> None:
    with pytest.raises(ProcessError, match=r"did not answer within 0\.1 s"):
        start(SLEEPER).wait_until(lambda: False, 0.1)


def test_a_process_id_that_now_belongs_to_another_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE)  # noqa: S603 - our own code
    try:
        earlier = beginning(os.getpid())
        assert earlier is not None
        record = ProcessRecord("spine", stranger.pid, earlier, log="")
        path = record_path(tmp_path, "spine")
        path.parent.mkdir()
        path.write_text(json.dumps(asdict(record)))
        assert LocalProcess.recorded(tmp_path, "spine") is None
        LocalProcess(record, path).stop(grace_seconds=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}'])
def test_an_unreadable_record_is_no_process(tmp_path: Path, content: str) -> None:
    path = record_path(tmp_path, "sleeper")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert LocalProcess.recorded(tmp_path, "sleeper") is None


def test_a_tethered_child_ends_with_its_parent_even_a_killed_one(start: Starter, tmp_path: Path) -> None:
    (start.modules / "sleeper.py").write_text(SLEEPER)
    parent_code = textwrap.dedent(
        """
        import os, sys, time
        from pathlib import Path
        from local.processes import LocalProcess
        process = LocalProcess.start(
            "sleeper", [], state=Path(sys.argv[1]), environment=dict(os.environ), tethered=True
        )
        process.wait_until(lambda: "awake" in Path(process.record.log).read_text(), 20)
        print("ready", flush=True)
        time.sleep(600)
        """
    )
    environment = {"PYTHONPATH": f"{start.modules}{os.pathsep}{ROOT}", "PATH": os.environ["PATH"]}
    parent = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", parent_code, str(tmp_path / "theirs")], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        child = LocalProcess.recorded(tmp_path / "theirs", "sleeper")
        assert child is not None
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
    deadline = time.monotonic() + 20
    while child.alive():
        assert time.monotonic() < deadline, "the child outlived its parent"
        os.sched_yield()
