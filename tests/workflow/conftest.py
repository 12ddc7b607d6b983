"""The state machines on ministack's Step Functions, with a stub for each function."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.embedded import EmbeddedAws

# Waits of the state machines take a hundredth of their time.
WAIT_SCALE = 0.01


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workflow")


@pytest.fixture(scope="session")
def aws(state: Path) -> Iterator[EmbeddedAws]:
    with EmbeddedAws.start(state, estate=False, enforce_iam=False, wait_scale=WAIT_SCALE) as aws:
        yield aws
