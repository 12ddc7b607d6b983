"""A state machine whose functions are stubs that each test scripts."""

import io
import itertools
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.config import Config

from local.embedded import EmbeddedAws
from local.settings import ACCOUNT, REGION

type Answer = Mapping[str, Any]

STEPS = (
    "PlanWindow",
    "DetachInstances",
    "DeregisterTargets",
    "DrainContainers",
    "DrainNodes",
    "SendCommands",
    "PublishAlerts",
    "VerifyWindow",
    "CompleteHooks",
    "SettleWindow",
)
WORKERS = {
    "detach": "DetachInstances",
    "deregister": "DeregisterTargets",
    "containers": "DrainContainers",
    "nodes": "DrainNodes",
    "command": "SendCommands",
    "alert": "PublishAlerts",
}
"""Count in the plan → who works on it, in the order of the branches."""
DONE: Answer = {"succeeded": 1, "failed": 0, "skipped": 0, "unfinished": False, "next_due": None}


def soon(seconds: float) -> str:
    """That far from now, as the functions write times."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def error(name: str, message: str = "as the script wants it") -> Answer:
    """An answer that is an exception."""
    return {"raise": name, "message": message}


def planned(
    each: int = 1, counts: Mapping[str, int] | None = None, *, command_due: str | None = None
) -> Answer:
    """What PlanWindow answers: so many actions of each kind but of those that are counted. No hooks."""
    return {
        "plan": "plan-1",
        "actions": {**dict.fromkeys(WORKERS, each), "complete": 0, **(counts or {})},
        "command_due": command_due,
        "deadline": soon(120),
    }


def outcomes(**counts: int) -> Answer:
    """What SettleWindow answers."""
    none = dict.fromkeys(("handled", "late", "failed", "observed", "ignored"), 0)
    return {"outcomes": none | counts, "alerts": sum(counts.values())}


@dataclass(frozen=True, slots=True)
class Execution:
    """A finished execution: how it ended, and each call of a function, in order."""

    status: str
    error: str
    cause: str
    calls: list[dict[str, Any]]

    @property
    def steps(self) -> list[str]:
        return [call["step"] for call in self.calls]

    def inputs(self, step: str) -> list[dict[str, Any]]:
        return [call["input"] for call in self.calls if call["step"] == step]

    @property
    def told(self) -> Any:
        """The cause of a failure, which is JSON."""
        return json.loads(self.cause)


@dataclass(frozen=True, slots=True)
class Workflow:
    """The deployed state machine."""

    aws: EmbeddedAws
    arn: str
    diary: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def run(self, **script: Sequence[Answer] | Answer) -> Execution:
        """Runs a window to its end. `script`: step → its answer or answers; the others do all there is."""
        number = next(self.numbers)
        answers: dict[str, Any] = {
            "PlanWindow": planned(),
            **dict.fromkeys((*WORKERS.values(), "CompleteHooks"), DONE),
            "VerifyWindow": {"verified": True, "check_again": None},
            "SettleWindow": outcomes(handled=1),
        }
        answers |= script
        window = {
            "domain": "spot",
            "account": ACCOUNT,
            "region": REGION,
            "number": number,
            "script": {step: [said] if isinstance(said, Mapping) else said for step, said in answers.items()},
        }
        # ministack runs a Standard machine to its end in one call, as AWS does an Express one: no polling.
        client = self.aws.client(
            "stepfunctions", config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
        )
        ended = client.start_sync_execution(
            stateMachineArn=self.arn,
            name=f"spot-{ACCOUNT}-{REGION}-{number:08d}",
            input=json.dumps({"window": window}),
        )
        calls = (self.diary / f"{number}.jsonl").read_text().splitlines()
        done = Execution(
            ended["status"], ended.get("error", ""), ended.get("cause", ""), list(map(json.loads, calls))
        )
        if done.error:  # shown with a test that fails; the window would fill the page with the script
            print(done.error, {**done.told, "window": number}, done.steps)
        return done


def create_stub(aws: EmbeddedAws, step: str, diary: Path) -> str:
    """A function that does what a test's script says. Its ARN."""
    bootstrap = zipfile.ZipInfo("bootstrap")
    bootstrap.external_attr = 0o755 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        program = Path(__file__).with_name("stub.py").read_text()
        package.writestr(bootstrap, f"#!{sys.executable}\n{program}")
    created: dict[str, Any] = aws.client("lambda").create_function(
        FunctionName=f"stub-{step}",
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=f"arn:aws:iam::{ACCOUNT}:role/stub",
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
        Environment={"Variables": {"STEP": step, "DIARY": str(diary)}},
    )
    return str(created["FunctionArn"])
