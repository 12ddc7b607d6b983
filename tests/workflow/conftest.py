"""The Spot window on ministack's Step Functions, with a stub for each function."""

import json
from collections.abc import Iterator

import pytest

from local.embedded import EmbeddedAws
from local.settings import ACCOUNT
from tests.template.sources import state_machines
from tests.workflow.scripted import STEPS, Workflow, create_stub

# Waits of the state machine take a hundredth of their time.
WAIT_SCALE = 0.01


@pytest.fixture(scope="session")
def workflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workflow]:
    state = tmp_path_factory.mktemp("workflow")
    diary = state / "diary"
    diary.mkdir()
    with EmbeddedAws.start(state, estate=False, enforce_iam=False, wait_scale=WAIT_SCALE) as aws:
        substitutions = {"SpotWindowSeconds": "2"}
        for step in STEPS:
            substitutions[f"Spot{step}FunctionArn"] = create_stub(aws, step, diary)
        [machine] = [machine for machine in state_machines() if machine.name == "SpotWindowStateMachine"]
        created = aws.client("stepfunctions").create_state_machine(
            name="spot-window",
            definition=json.dumps(machine.substituted(substitutions)),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/stub",
        )
        yield Workflow(aws, created["stateMachineArn"], diary)
