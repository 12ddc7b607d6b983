"""Every function's handler: what it costs to import, what it is wired from, what goes in and comes out."""

import ast
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

import signalbox.telemetry  # noqa: F401 - while sockets are on: the X-Ray SDK opens one, and never connects it
from signalbox.aws.clients import client, session
from signalbox.aws.estates import ESTATES_KEPT, Home, Member
from signalbox.clock import iso
from signalbox.deployment.checking import Candidate, Hook, Verdict
from signalbox.deployment.probing import PROBE
from signalbox.errors import AccessDeniedError, InvariantError
from signalbox.ledger.actions import Progress
from signalbox.ledger.deferrals import Deferral
from signalbox.ledger.memory import MemoryLedger
from signalbox.ledger.sweeping import Sweep
from signalbox.ledger.windows import Segment, Windows
from signalbox.spot.alerts import Survivor
from signalbox.spot.closing import SettleWindow
from signalbox.spot.hooks import KeepHooks
from signalbox.spot.intake import AdmitEvents
from signalbox.spot.late_look import Found
from signalbox.spot.planning import Policy
from signalbox.spot.verification import VerifyWindow
from signalbox.spot.window import PlanWindow
from tests.template.deployed import Deployed
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
USERS_OF_LEDGER = [
    name
    for name, function in FUNCTIONS.items()
    if "LEDGER_TABLE" in function["Properties"]["Environment"]["Variables"]
]
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


def environment_of(name: str) -> dict[str, str]:
    shared = template()["Globals"]["Function"]["Environment"]["Variables"]
    own = FUNCTIONS[name]["Properties"]["Environment"]["Variables"]
    return {key: str(told) for key, told in Deployed({}).value({**shared, **own}).items()} | SET_BY_LAMBDA


def reaches_estates(name: str) -> bool:
    """Whether a function reads or changes the estate of the window that it is called for."""
    estates = "SPOT_ESTATE_ROLE_ARN" in FUNCTIONS[name]["Properties"]["Environment"]["Variables"]
    return estates and name != "SpotSweepWindowsFunction"  # called for none, it looks at many


def estate_of(name: str) -> tuple[Home, ...]:
    """What a function's use case is made for."""
    return (Home(),) if reaches_estates(name) else ()


def test_every_folder_is_a_function_of_the_template() -> None:
    assert sorted(HANDLERS.values()) == sorted((ROOT / "functions").glob("*/*.py"))


IMPORT_ALL = """
import importlib.util, os, socket
import signalbox.aws.clients

def refuse(*args, **kwargs):
    raise AssertionError("a client or a connection at import time")

assert not set(os.environ) - {"LC_CTYPE"}, sorted(os.environ)
for name in ("connect", "connect_ex", "send", "sendall", "sendto"):  # the X-Ray SDK opens one, unconnected
    setattr(socket.socket, name, refuse)
signalbox.aws.clients.Session = refuse
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


INIT = """
import gc, handler
wired = handler.use_case.cache_info()
print(wired.currsize, gc.isenabled())
"""


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_is_wired_before_its_first_event(name: str) -> None:
    paths = [str(HANDLERS[name].parent), str(ROOT / "layers" / "signalbox"), *sys.path]
    done = subprocess.run(  # noqa: S603 - this interpreter, the code above
        [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {paths!r}\n{INIT}"],
        env=environment_of(name) | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "LAMBDA_TASK_ROOT": "/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["1", "True"], done.stderr


@pytest.mark.parametrize("path", HANDLERS.values(), ids=HANDLERS)
def test_a_handler_is_short_and_decides_nothing(path: Path) -> None:
    text = path.read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()) <= LONGEST
    assert not any(isinstance(node, ast.Try) for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize("name", HANDLERS)
def test_a_step_has_the_name_of_its_function(name: str) -> None:
    """Logs and traces say `stage`; the state machine and the template say the same."""
    [handler] = [
        node
        for node in ast.parse(HANDLERS[name].read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "lambda_handler"
    ]
    [decorator] = [ast.unparse(node) for node in handler.decorator_list]
    domain, _, step = HANDLERS[name].parent.name.partition("_")
    stage = "".join(part.capitalize() for part in step.split("_"))
    assert decorator == f"step('{domain}', '{stage}')"


@pytest.fixture
def only_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], None]]:
    """Takes the process's environment away and gives it another; clients are made anew."""
    forget_clients()
    yield lambda environment: monkeypatch.setattr("os.environ", environment)
    forget_clients()


def forget_clients() -> None:
    """The session remembers the environment that it was made in."""
    client.cache_clear()
    session.cache_clear()


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_is_wired_from_what_the_template_tells_it(
    name: str, only_environment: Callable[[dict[str, str]], None]
) -> None:
    module = load(name)
    only_environment(environment_of(name))
    assert module.use_case(*estate_of(name)) is module.use_case(*estate_of(name))


@pytest.mark.parametrize("name", USERS_OF_LEDGER)
def test_a_function_that_is_told_nothing_says_what_it_lacks(
    name: str, only_environment: Callable[[dict[str, str]], None]
) -> None:
    module = load(name)
    only_environment(dict(SET_BY_LAMBDA))
    with pytest.raises(InvariantError, match="`LEDGER_TABLE`"):
        module.use_case(*estate_of(name))


@pytest.mark.parametrize("name", [name for name in HANDLERS if reaches_estates(name)])
def test_a_function_has_clients_for_each_account_and_region(
    name: str, only_environment: Callable[[dict[str, str]], None]
) -> None:
    """Only of so many windows: a function lives for hours, and a member's clients are of one window."""
    module = load(name)
    only_environment(environment_of(name))
    home = module.use_case(Home())
    members = [module.use_case(member(number)) for number in range(ESTATES_KEPT)]
    assert len({id(each) for each in (home, *members)}) == ESTATES_KEPT + 1
    assert module.use_case(member(ESTATES_KEPT - 1)) is members[-1]
    assert module.use_case.cache_info().currsize == ESTATES_KEPT


def member(number: int) -> Member:
    """Another account, for the window of that number."""
    return Member(
        account="444455556666",
        region=REGION,
        role_arn="arn:aws:iam::444455556666:role/signalbox-spot-estate",
        external_id="0123456789abcdef",
        session_name=f"signalbox.{window(number).execution_name}",
    )


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
    monkeypatch.setattr(module, "use_case", lambda *_: use_case)
    monkeypatch.setattr("os.environ", environment_of(name))
    return module.lambda_handler(event, Context())


class Untouched:
    """A use case that nobody may use."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a probe must not use {name}")


class Table:
    """A ledger that has no such row, or does not answer."""

    def __init__(self) -> None:
        self.error = "ConditionalCheckFailedException"
        self.asked: list[dict[str, Any]] = []

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments)
        raise ClientError({"Error": {"Code": self.error}}, "UpdateItem")


@pytest.mark.parametrize(
    "name", sorted(FUNCTIONS.keys() - {*USERS_OF_LEDGER, "DeploymentCheckVersionFunction"})
)
def test_a_probe_of_what_has_no_ledger_asks_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = handle(name, Untouched(), {PROBE: "d-1"}, monkeypatch)
    assert (answer[PROBE], answer["reached"]) == ("d-1", [])


@pytest.mark.parametrize("name", USERS_OF_LEDGER)
def test_a_probe_asks_the_ledger_and_nothing_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    monkeypatch.setattr("signalbox.deployment.probing.client", lambda service: table)
    answer = handle(name, Untouched(), {PROBE: "d-1"}, monkeypatch)
    assert (answer[PROBE], answer["reached"]) == ("d-1", ["ledger"])
    [asked] = table.asked
    assert asked["TableName"] == environment_of(name)["LEDGER_TABLE"]
    assert asked["ConditionExpression"] == "attribute_exists(pk)"
    table.error = "AccessDeniedException"
    with pytest.raises(AccessDeniedError):
        handle(name, Untouched(), {PROBE: "d-1"}, monkeypatch)


def test_a_check_answers_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Check:
        def check(self, hook: Hook) -> Verdict:
            assert hook == Hook("d-1", "hook-1")
            return Verdict(Candidate("plan", "8"), "refused: it failed")

    event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}
    answer = handle("DeploymentCheckVersionFunction", Check(), event, monkeypatch)
    assert answer == {"healthy": False, "reason": "refused: it failed"}


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
        {
            "messageId": f"m{number}",
            "receiptHandle": f"r{number}",
            "body": text,
            "attributes": {"ApproximateReceiveCount": "1"},
        }
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
        def work(self, *_: object) -> Progress:
            return Progress(succeeded=3, unfinished=True)

    answer = handle(name, Worker(), {**TASK, "plan": PLAN}, monkeypatch)
    assert answer == {"succeeded": 3, "failed": 0, "skipped": 0, "unfinished": True, "next_due": None}


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
    settle = SettleWindow(stack.ledger, stack.clock, late_look=900.0)
    event = {**TASK, "plan": PLAN, "errors": [{"branch": "SendCommands", "error": {}}]}
    answer = handle("SpotSettleWindowFunction", settle, event, monkeypatch)
    assert answer == {
        "outcomes": {"handled": 0, "late": 0, "failed": 1, "observed": 0, "ignored": 0},
        "alerts": 2,
    }


def test_sweeping_answers_with_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger()
    past, future = (
        Deferral(key=window().key, id=id_, due_at=due_at, entry={})
        for id_, due_at in (("past", NOON), ("future", time.time() + 3_600))
    )
    for deferral in (past, future):
        ledger.defer(deferral)
    gone = Survivor(instance=instance_id(0), group="web", left_by="detach", left_at=NOON, deadline=NOON)

    class Sweeper:
        def sweep(self, domain: str) -> Sweep:
            assert domain == "spot"
            return Sweep(restarted=(window(1), window(2)), given_up=(window(3),))

    class Deferred:
        def admit(self, deferrals: list[Deferral]) -> int:
            return len(deferrals)

    class Late:
        def look(self, deferrals: list[Deferral]) -> list[Found]:
            assert deferrals == [past]
            return [Found(window=window(), survivors=(gone, gone))]

    answer = handle("SpotSweepWindowsFunction", (ledger, Deferred(), Sweeper(), Late()), {}, monkeypatch)
    assert answer == {"admitted": 1, "restarted": 2, "given_up": 1, "found_running": 2}


def test_an_input_that_no_state_machine_of_ours_sends_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvariantError, match="no task"):
        handle("SpotPlanWindowFunction", Stack().plan(), {"window": "42"}, monkeypatch)
