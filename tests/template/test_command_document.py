"""The SSM document: whatever a parameter says, it reaches a script as data."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from signalbox.clock import iso_precise
from signalbox.ledger.actions import Action
from signalbox.spot.events.detail import INSTANCE_ACTIONS
from signalbox.spot.performers import command_parameters
from tests.template.sources import resources

DOCUMENT: dict[str, Any] = resources("AWS::SSM::Document")["SpotCommandDocument"]["Properties"]["Content"]
STEPS = {step["name"]: step for step in DOCUMENT["mainSteps"]}
DEADLINE = "2026-01-31T12:00:00Z"


def run(parameters: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The Linux step as the agent runs it: parameters in the environment, one script."""
    script = folder / "step.sh"
    script.write_text("\n".join(STEPS["RunOnLinux"]["inputs"]["runCommand"]))
    shell = shutil.which("sh")
    assert shell
    return subprocess.run(  # noqa: S603 - the template's own script, which is what is tested
        [shell, str(script)],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
        | {f"SSM_{name}": value for name, value in parameters.items()},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def parameters(**changes: str) -> dict[str, str]:
    return {"Commands": "echo done", "InstanceAction": "terminate", "Deadline": DEADLINE} | changes


def action() -> Action:
    return Action(
        id="a-1",
        kind="command",
        group="web",
        target="document",
        subjects=("i-1",),
        deadline=1_769_860_800.0,
        payload={"script": ["echo one", "echo two"], "timeout_seconds": 25, "instance_action": "terminate"},
    )


def test_every_parameter_that_a_script_sees_comes_as_an_environment_variable() -> None:
    seen = {name for name, parameter in DOCUMENT["parameters"].items() if "interpolationType" in parameter}
    assert seen == {"Commands", "InstanceAction", "Deadline"}
    assert {DOCUMENT["parameters"][name]["interpolationType"] for name in seen} == {"ENV_VAR"}


def test_no_parameter_is_pasted_into_a_script() -> None:
    for step in STEPS.values():
        assert "{{" not in "\n".join(step["inputs"]["runCommand"])
        assert step["inputs"]["timeoutSeconds"] == "{{ TimeoutSeconds }}"


def test_there_is_a_step_for_each_platform() -> None:
    assert {step["action"]: step["precondition"]["StringEquals"] for step in STEPS.values()} == {
        "aws:runShellScript": ["platformType", "Linux"],
        "aws:runPowerShellScript": ["platformType", "Windows"],
    }


def test_the_program_gives_the_parameters_that_the_document_takes() -> None:
    given = command_parameters(action(), action().deadline - 30)
    declared = DOCUMENT["parameters"]
    assert given.keys() <= declared.keys()
    assert {name for name, parameter in declared.items() if "default" not in parameter} <= given.keys()
    for name, values in given.items():
        for value in values:
            assert re.search(declared[name]["allowedPattern"], value), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Commands", ""),
        ("InstanceAction", "terminate; rm -rf /"),
        ("InstanceAction", "reboot"),
        ("Deadline", "$(reboot)"),
        ("Deadline", "tomorrow"),
        ("TimeoutSeconds", "0"),
        ("TimeoutSeconds", "25; reboot"),
        ("TimeoutSeconds", "-1"),
    ],
)
def test_nonsense_is_refused(name: str, value: str) -> None:
    assert not re.search(DOCUMENT["parameters"][name]["allowedPattern"], value)


@pytest.mark.parametrize("action", INSTANCE_ACTIONS)
def test_whatever_an_event_announces_is_taken(action: str) -> None:
    assert re.search(DOCUMENT["parameters"]["InstanceAction"]["allowedPattern"], action)


def test_a_deadline_may_have_milliseconds() -> None:
    assert re.search(DOCUMENT["parameters"]["Deadline"]["allowedPattern"], iso_precise(1_769_860_800.123))


def test_the_groups_script_runs_as_written(tmp_path: Path) -> None:
    script = 'echo "first\'s"\nfor n in 1 2; do\n  echo "$n of $SIGNALBOX_INSTANCE_ACTION"\ndone'
    done = run(parameters(Commands=script), tmp_path)
    assert (done.returncode, done.stdout) == (0, "first's\n1 of terminate\n2 of terminate\n")
    assert [path.name for path in tmp_path.iterdir()] == ["step.sh"]


def test_the_groups_script_decides_whether_it_succeeded(tmp_path: Path) -> None:
    done = run(parameters(Commands="echo no >&2\nexit 7"), tmp_path)
    assert (done.returncode, done.stderr) == (7, "no\n")
    assert [path.name for path in tmp_path.iterdir()] == ["step.sh"]


@pytest.mark.parametrize(
    "evil", ["$(touch evil)", "`touch evil`", "'; touch evil; '", '"; touch evil; "', "\ntouch evil"]
)
@pytest.mark.parametrize("name", ["InstanceAction", "Deadline"])
def test_even_a_value_that_slipped_through_is_data(name: str, evil: str, tmp_path: Path) -> None:
    done = run(
        parameters(Commands='printf %s "$SIGNALBOX_INSTANCE_ACTION$SIGNALBOX_DEADLINE"', **{name: evil}),
        tmp_path,
    )
    assert done.returncode == 0
    assert evil in done.stdout
    assert not (tmp_path / "evil").exists()


def test_an_agent_too_old_for_environment_variables_fails_and_says_so(tmp_path: Path) -> None:
    done = run({}, tmp_path)
    assert done.returncode == 78
    assert "3.3.2746.0" in done.stderr
