"""The commands as a user types them, each with a state folder and ports of its own."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local import fleet
from local.embedded import end_all
from local.processes import beginning
from local.running import read_environment
from local.settings import ROOT, free_port, port_is_free
from tests.e2e.stack import wait_until

pytestmark = pytest.mark.embedded

SAMPLE = "events/spot/interruption_warning.json"
STACK_KEYS = {
    "STACK_AlertTopicArn",
    "STACK_EventBusName",
    "STACK_LedgerTableName",
    "STACK_SpotIntakeDeadLetterQueueUrl",
    "STACK_SpotIntakeQueueUrl",
    "STACK_SpotRuleDeadLetterQueueUrl",
    "STACK_SpotStateMachineArn",
}
# What a `make test` hands down to the commands it runs: its own ARGS must not become theirs.
OF_MAKE = ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")

type Make = Callable[..., str]
type Ports = tuple[int, int, int]


@pytest.fixture
def ports() -> Ports:
    spine = free_port()
    estate = free_port(frozenset({spine}))
    return spine, estate, free_port(frozenset({spine, estate}))


@pytest.fixture
def make(tmp_path: Path, ports: Ports) -> Iterator[Make]:
    """Runs a command of the Makefile that must succeed; answers what it printed."""
    inherited = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
    own = {
        "SIGNALBOX_STATE": str(tmp_path),
        "SIGNALBOX_SPINE_PORT": str(ports[0]),
        "SIGNALBOX_ESTATE_PORT": str(ports[1]),
        "SIGNALBOX_CODEARTIFACT_PORT": str(ports[2]),
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            ["make", *arguments],
            cwd=ROOT,
            env=inherited | own,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"make {arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    yield run
    end_all(tmp_path)


def test_up_send_status_down(make: Make, tmp_path: Path, ports: Ports) -> None:
    assert "The embedded AWS is up; the stack is deployed." in make("up")
    started = processes(tmp_path)
    environment = read_environment(tmp_path / "env")
    assert_complete(environment, ports)

    assert "The embedded AWS is already up; the stack is already up to date." in make("up")
    assert processes(tmp_path) == started
    assert read_environment(tmp_path / "env") == environment

    assert "-> signalbox-local-SpotInstanceEventsRule" in make("send", f"EVENT={SAMPLE}")
    [window] = wait_until(lambda: detached(make), "the instance is detached")
    [episode] = window["episodes"]
    shown = make("status")
    assert episode["instance"] in shown
    assert "SpotIntakeDeadLetterQueue" in shown

    # In the midst of it: the commands are due in a minute and a half.
    before = descendants(tmp_path)
    assert set(started.values()) < set(before)
    make("down")
    assert descendants(tmp_path) == []
    assert [pid for pid in before if beginning(pid)] == []
    assert processes(tmp_path) == {}
    assert all(port_is_free(port) for port in ports)
    assert not (tmp_path / "env").exists()
    assert "Nothing is running." in make("down")


def test_the_demo_checks_the_estate_and_leaves_nothing_behind(make: Make, tmp_path: Path) -> None:
    shown = make("demo")
    assert "Every check holds." in shown
    assert "✗" not in shown
    told = " ".join(shown.split())  # lines are broken where the terminal ends
    for part in (
        "ECS container instance draining",
        "act: command, terminate",
        "at a time (20 %)",
        "ended by its group, replacement starting",
        "detach failed: access-denied",
        "The alert about the failure",
        "FAILED ActionsFailed",
        "waves: npm//left, npm//right, then npm//app",
        "1.1.0 superseded: npm//core/1.1.1",
        "The alert to shapes",
        "shared has 1.0.0, 1.1.1",
    ):
        assert part in told
    assert descendants(tmp_path) == []
    assert processes(tmp_path / "demo") == {}


def assert_complete(environment: dict[str, str], ports: Ports) -> None:
    """What the file says is all that a program needs to reach everything."""
    assert environment.keys() >= STACK_KEYS
    assert environment["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{ports[0]}"
    assert environment["ESTATE_ENDPOINT_URL"] == f"http://127.0.0.1:{ports[1]}"
    assert environment["AWS_ENDPOINT_URL_CODEARTIFACT"] == f"http://127.0.0.1:{ports[2]}"
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
    ledger = session.client("dynamodb", endpoint_url=environment["AWS_ENDPOINT_URL"])
    assert ledger.describe_table(TableName=environment["STACK_LedgerTableName"])["Table"]
    estate = session.client("autoscaling", endpoint_url=environment["ESTATE_ENDPOINT_URL"])
    groups = estate.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert {group["AutoScalingGroupName"]: len(group["Instances"]) for group in groups} == {
        group.name: group.desired for group in fleet.GROUPS
    }


def detached(make: Make) -> list[dict[str, Any]]:
    """The windows, once there is a detach and it has succeeded."""
    windows: list[dict[str, Any]] = json.loads(make("status", "ARGS=--json"))["windows"]
    actions = {action["kind"]: action["status"] for window in windows for action in window["actions"]}
    return windows if actions.get("detach") == "succeeded" else []


def processes(state: Path) -> dict[str, int]:
    """The recorded processes that run, by name."""
    records = [json.loads(path.read_text()) for path in (state / "processes").glob("*.json")]
    return {r["name"]: r["pid"] for r in records if "pid" in r and beginning(r["pid"]) == r["began"]}


def descendants(state: Path) -> list[int]:
    """Every process that was started from the state folder, the functions' workers included."""
    listed = subprocess.run(
        ["ps", "-e", "-ww", "-o", "pid=", "-o", "args="], capture_output=True, text=True, check=True
    )
    named = [int(line.split()[0]) for line in listed.stdout.splitlines() if str(state) in line]
    return sorted({*named, *processes(state).values()})
