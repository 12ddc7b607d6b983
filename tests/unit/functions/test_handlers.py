"""Every function's handler: what it costs to import, what it is wired from, what goes in and comes out."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import msgspec
import pytest

import signalbox.telemetry  # noqa: F401 - while sockets are on: the X-Ray SDK opens one, and never connects it
from signalbox.aws.clients import client
from signalbox.clock import iso
from signalbox.errors import InvariantError
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.windows import Segment, Windows
from signalbox.spot.closing import SettleWindow
from signalbox.spot.hooks import KeepHooks
from signalbox.spot.intake import AdmitEvents
from signalbox.spot.planning import Policy
from signalbox.spot.verification import VerifyWindow
from signalbox.spot.window import PlanWindow
from tests.template.sources import ROOT, resources, template
from tests.unit.spot.doubles import (
    ACCOUNT,
    NOON,
    PLAN,
    REGION,
    SCOPE,
    FakeEvidence,
    FakeExecutions,
    MovableClock,
    body,
    fleet,
    instance_id,
    notice,
    warning,
    window,
)

FUNCTIONS = resources("AWS::Serverless::Function")
HANDLERS = {
    name: ROOT / function["Properties"]["CodeUri"] / "handler.py" for name, function in FUNCTIONS.items()
}
LONGEST = 40  # lines that are not blank
SET_BY_LAMBDA = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_SESSION_TOKEN": "test",
}


def load(name: str) -> ModuleType:
    """The handler's module, anew."""
    spec = importlib.util.spec_from_file_location(f"handler_of_{name}", HANDLERS[name])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def value_of(node: Any) -> str:
    """What an environment variable of the template comes to in a stack that is deployed with its defaults."""
    if isinstance(node, dict) and "Ref" in node:
        parameter = template()["Parameters"].get(node["Ref"])
        return str(parameter["Default"]) if parameter else f"{node['Ref']}-in-the-stack"
    return str(node["Fn::Sub"] if isinstance(node, dict) else node)


def environment_of(name: str) -> dict[str, str]:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    own = FUNCTIONS[name]["Properties"]["Environment"]["Variables"]
    return {str(key): value_of(node) for key, node in {**shared, **own}.items()} | SET_BY_LAMBDA


def test_every_folder_is_a_function_of_the_template() -> None:
    assert sorted(HANDLERS.values()) == sorted((ROOT / "functions").glob("*/*.py"))


IMPORT_ALL = """
import importlib.util, os, socket
import boto3

def refuse(*args, **kwargs):
    raise AssertionError("a client or a connection at import time")

assert not set(os.environ) - {"LC_CTYPE"}, sorted(os.environ)
for name in ("connect", "connect_ex", "send", "sendall", "sendto"):  # the X-Ray SDK opens one, unconnected
    setattr(socket.socket, name, refuse)
boto3.client = boto3.resource = boto3.Session = refuse
for path in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("handler", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.lambda_handler), path
"""


def test_importing_needs_no_environment_no_client_and_no_network() -> None:
    paths = [str(ROOT / "layers" / "signalbox"), *sys.path]
    code = f"import sys; sys.path[:] = {paths!r}\n{IMPORT_ALL}"
    done = subprocess.run(  # noqa: S603 - this interpreter, the code above
        [sys.executable, "-I", "-c", code, *map(str, HANDLERS.values())],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", HANDLERS.values(), ids=HANDLERS)
def test_a_handler_is_short_and_decides_nothing(path: Path) -> None:
    text = path.read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) <= LONGEST
    assert not any(isinstance(node, ast.Try) for node in ast.walk(ast.parse(text)))


@pytest.fixture
def only_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], None]]:
    """Takes the process's environment away and gives it another; clients are made anew."""
    client.cache_clear()
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the environment of an earlier test
    yield lambda environment: monkeypatch.setattr("os.environ", environment)
    client.cache_clear()


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_is_wired_from_what_the_template_tells_it(
    name: str, only_environment: Callable[[dict[str, str]], None]
) -> None:
    module = load(name)
    only_environment(environment_of(name))
    assert module.use_case() is module.use_case()


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_that_is_told_nothing_says_what_it_lacks(
    name: str, only_environment: Callable[[dict[str, str]], None]
) -> None:
    module = load(name)
    only_environment(dict(SET_BY_LAMBDA))
    with pytest.raises(InvariantError, match="`LEDGER_TABLE`"):
        module.use_case()


class Context:
    """The part of the Lambda context that the handlers and the logger read."""

    function_name = "function"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:function"
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def handle(name: str, use_case: object, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    module = load(name)
    monkeypatch.setattr(module, "use_case", lambda: use_case)
    return module.lambda_handler(event, Context())


TASK = {"window": msgspec.to_builtins(window())}


class Stack:
    """One ledger, one estate and the use cases over them."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.ledger = MemoryLedger()
        self.estate = fleet("web", range(3))

    def admit(self) -> AdmitEvents:
        windows = Windows(self.ledger, FakeExecutions(), self.clock, open_seconds=2.0)
        return AdmitEvents(windows, self.ledger, SCOPE, self.clock, scheduled_lead=3_600.0)

    def plan(self) -> PlanWindow:
        self.ledger.open_next(window().key, None, NOON)
        self.ledger.append(window(), Segment.of([msgspec.to_builtins(notice(0))]))
        return PlanWindow(self.ledger, self.estate, Policy(), self.clock, lambda: PLAN)


def test_the_intake_answers_with_what_must_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [body(warning(instance_id(1))), "no json", body(warning(instance_id(2), action="explode"))]
    records = [
        {"messageId": f"m{number}", "body": text, "attributes": {"ApproximateReceiveCount": "1"}}
        for number, text in enumerate(bodies)
    ]
    stack = Stack()
    answer = handle("SpotAdmitEventsFunction", stack.admit(), {"Records": records}, monkeypatch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [rejection.id for rejection in stack.ledger.rejections("spot", iso(NOON)[:10])] == ["m2"]


def test_planning_answers_with_the_plan_and_its_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = handle("SpotPlanWindowFunction", Stack().plan(), TASK, monkeypatch)
    assert answer["plan"] == PLAN
    assert answer.keys() == {"plan", "actions", "command_due", "deadline"}
    assert answer["actions"]["detach"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "SpotDetachInstancesFunction",
        "SpotDeregisterTargetsFunction",
        "SpotDrainContainersFunction",
        "SpotDrainNodesFunction",
        "SpotSendCommandsFunction",
        "SpotCompleteHooksFunction",
        "SpotPublishAlertsFunction",
    ],
)
def test_a_worker_answers_with_its_progress(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Worker:
        def work(self, *_: object) -> dict[str, Any]:
            return {"succeeded": 3, "unfinished": True}

    answer = handle(name, Worker(), {**TASK, "plan": PLAN}, monkeypatch)
    assert answer == {"succeeded": 3, "unfinished": True}


class Heartbeats:
    """There is no hook to keep open."""

    def heartbeat(self, *_: str) -> None:
        raise AssertionError("a heartbeat without a hook")


def test_a_look_answers_whether_to_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = MovableClock()
    hooks = KeepHooks(Heartbeats(), clock, lambda action, error: None)
    verify = VerifyWindow(MemoryLedger(), FakeEvidence(), hooks, clock)
    answer = handle("SpotVerifyWindowFunction", verify, {**TASK, "plan": PLAN}, monkeypatch)
    assert answer == {"verified": True, "check_again": None}


def test_settling_answers_with_the_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.plan().plan(window())
    settle = SettleWindow(stack.ledger, stack.clock)
    event = {**TASK, "plan": PLAN, "errors": [{"branch": "SendCommands", "error": {}}]}
    answer = handle("SpotSettleWindowFunction", settle, event, monkeypatch)
    assert answer == {
        "outcomes": {"handled": 0, "late": 0, "failed": 1, "observed": 0, "ignored": 0},
        "alerts": 2,
    }


def test_sweeping_answers_with_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sweeper:
        def sweep(self, domain: str) -> Any:
            from signalbox.ledger.sweeping import Sweep  # noqa: PLC0415 - beside its only use

            assert domain == "spot"
            return Sweep(restarted=(window(1), window(2)), given_up=(window(3),))

    class Deferred:
        def admit(self, domain: str) -> int:
            assert domain == "spot"
            return 4

    answer = handle("SpotSweepWindowsFunction", (Sweeper(), Deferred()), {}, monkeypatch)
    assert answer == {"admitted": 4, "restarted": 2, "given_up": 1}


def test_an_input_that_no_state_machine_of_ours_sends_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvariantError, match="no task"):
        handle("SpotPlanWindowFunction", Stack().plan(), {"window": "42"}, monkeypatch)
