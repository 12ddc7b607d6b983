"""The command line: what it says when it can't."""

import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from local import cli, fleet
from local.embedded import EmbeddedAws
from local.events import timestamp
from local.processes import ProcessError
from local.progress import Steps
from local.pruning import LeftOut
from local.settings import ROOT

SAMPLE = ROOT / "events/spot/interruption_warning.json"
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class FakeAws:
    """A bus that knows one source."""

    def __init__(self) -> None:
        self.delivered: list[dict[str, Any]] = []

    def deliver(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.delivered += events
        return [{"id": event["id"], "rules": ["rule"] * (event["source"] == "aws.ec2")} for event in events]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeAws:
    """A running copy, of which the command line sees a bus and a fleet."""
    fake = FakeAws()
    monkeypatch.setenv("SIGNALBOX_STATE", str(tmp_path))
    monkeypatch.setattr(EmbeddedAws, "attach", lambda _: cast("EmbeddedAws", fake))
    monkeypatch.setattr(fleet, "members", lambda _: {"web": ("i-1", "i-2"), "batch": ("i-3",)})
    return fake


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGNALBOX_STATE", str(tmp_path))


def test_send_delivers_the_sample_about_an_instance_of_the_fleet(
    aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["send", str(SAMPLE), "--count", "2"]) == 0
    assert [event["detail"]["instance-id"] for event in aws.delivered] == ["i-1", "i-2"]
    assert len({event["id"] for event in aws.delivered}) == 2
    assert capsys.readouterr().out.count("-> rule") == 2


def test_send_takes_other_values(aws: FakeAws) -> None:
    changes = ["--set", "instance=i-9", "--set", "detail.instance-action=hibernate"]
    assert cli.main(["send", str(SAMPLE), *changes]) == 0
    assert aws.delivered[0]["detail"] == {"instance-id": "i-9", "instance-action": "hibernate"}


@pytest.mark.parametrize(
    ("written", "expected"), [("{{now}}", 80), ("{{now-10}}", 90), ("2020-01-01T00:00:00Z", 80)]
)
def test_an_age_dates_events_earlier(aws: FakeAws, tmp_path: Path, written: str, expected: int) -> None:
    path = tmp_path / "event.json"
    path.write_text(f'{{"time": "{written}"}}')
    batch = cli.prepare(path, {}, age=80, count=1, aws=cast("EmbeddedAws", aws), now=NOON)
    assert batch == [{"time": timestamp(NOON.fromtimestamp(NOON.timestamp() - expected, UTC))}]


def test_an_event_no_rule_wants_is_a_failure(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["send", str(SAMPLE), "--set", "source=aws.s3"]) == 2
    assert "1 of 1 matched no rule" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["send", "absent.json"], "There is no file absent.json"),
        (["send", str(SAMPLE), "--set", "x"], "--set x: write KEY=VALUE"),
        (["send", str(SAMPLE), "--set", "x=1"], "--set x=…"),
    ],
)
def test_what_can_not_be_sent_is_explained(
    aws: FakeAws, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert cli.main(arguments) == 2
    assert complaint in capsys.readouterr().err
    assert aws.delivered == []


@pytest.mark.parametrize("arguments", [["send", str(SAMPLE)], ["env"]])
def test_what_needs_a_running_copy_says_so(
    nothing_runs: None, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert cli.main(arguments) == 2
    assert "Start it with `make up`" in capsys.readouterr().err


def test_down_is_harmless_when_nothing_runs(nothing_runs: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "--all"]) == 0
    assert capsys.readouterr().out == "Nothing is running.\n"


def test_a_bad_port_is_named(
    nothing_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGNALBOX_SPINE_PORT", "many")
    assert cli.main(["down"]) == 2
    assert "SIGNALBOX_SPINE_PORT is 'many'" in capsys.readouterr().err


def test_a_failure_below_is_a_line_not_a_traceback(
    nothing_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ProcessError("the spine ended")

    monkeypatch.setattr("local.running.up", fail)
    assert cli.main(["up"]) == 1
    assert capsys.readouterr().err == "up failed: the spine ended\n"


def test_up_takes_parameters_of_the_template(nothing_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def up(_settings: object, _report: object, overrides: object) -> None:
        given.append(overrides)
        raise ProcessError("enough")

    monkeypatch.setattr("local.running.up", up)
    cli.main(["up", "--set", "PackagesMode=observe", "--set", "PackagesQuietSeconds=5"])
    assert given == [{"PackagesMode": "observe", "PackagesQuietSeconds": "5"}]


@pytest.mark.parametrize("module", ["local", "operations"])
def test_it_can_be_called_without_make(module: str) -> None:
    """`make` says by PYTHONPATH where the program is; a shell does not."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", module, "--help"]
    said = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)  # noqa: S603 - our own command
    assert "usage:" in said


def test_who_has_seen_enough_may_stop_reading() -> None:
    command = [sys.executable, "-m", "operations", "releases", "policy", "default"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asked:  # noqa: S603 - our own command
        assert asked.stdout is not None
        asked.stdout.close()
        assert asked.stderr is not None
        assert (asked.stderr.read(), asked.wait()) == (b"", 0)


@pytest.mark.parametrize("command", [[], ["up"], ["down"], ["send"], ["env"]])
def test_each_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_steps_are_told_as_they_begin_and_end() -> None:
    told = io.StringIO()
    with Steps(Console(file=told, force_terminal=False)) as report:
        report("Building [all]")
        report("Deploying")
    lines = told.getvalue().splitlines()
    assert [line.strip().rsplit(" ", 2)[0] if "✓" in line else line.strip() for line in lines] == [
        "Building [all] …",
        "✓ Building [all]",
        "Deploying …",
        "✓ Deploying",
    ]


def test_a_step_that_fails_is_marked() -> None:
    told = io.StringIO()
    steps = Steps(Console(file=told, force_terminal=False))
    steps("Starting")
    steps.__exit__(ProcessError, ProcessError("no"), None)
    assert "✗ Starting" in told.getvalue()


def test_what_is_left_out_is_told_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    cli.print_left_out(
        [
            LeftOut("Slow", "AWS::CloudWatch::Alarm", "of several metrics"),
            LeftOut("Document", "AWS::SSM::Document", "elsewhere"),
            LeftOut("Late", "AWS::CloudWatch::Alarm", "of several metrics"),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "Not in the embedded stack: 2 of AWS::CloudWatch::Alarm: of several metrics",
        "Not in the embedded stack: Document (AWS::SSM::Document): elsewhere",
    ]
