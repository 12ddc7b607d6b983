"""The real template on the embedded AWS, IAM enforced, once a session; a scene for each scenario."""

from collections.abc import Iterator

import pytest

from local import fleet
from local.deployment import deploy
from local.embedded import EmbeddedAws
from local.inbox import Inbox
from tests.e2e.documents import declare_routes
from tests.e2e.packages import open_workshop
from tests.e2e.stack import Scene, Stack

PARAMETERS = {"SpotLateLookSeconds": "86400"}
"""No scenario's late look falls due in another's: all of them together may take longer than the default."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with EmbeddedAws.start(tmp_path_factory.mktemp("e2e"), enforce_iam=True) as aws:
        outputs = deploy(aws, overrides=PARAMETERS).outputs
        made = fleet.create(aws)
        stack = Stack(aws, outputs, made, Inbox.open(aws, outputs))
        declare_routes(stack)
        open_workshop(stack)
        yield stack


@pytest.fixture
def scene(stack: Stack) -> Scene:
    return Scene.begin(stack)
