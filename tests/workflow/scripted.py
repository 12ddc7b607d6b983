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
from local.settings import ACCOUNT
from tests.template.sources import STATE_MACHINES, Definition, Node

type Answer = Mapping[str, Any]
type Script = Mapping[str, Sequence[Answer] | Answer]
"""Step → its answer or answers."""

ATTEMPTS = 4  # the first one and three more
TRANSIENT = ("ThrottledError", "UnavailableError", "Lambda.TooManyRequestsException")
"""Some of the errors that are tried again."""


def soon(seconds: float) -> str:
    """That far from now, as the functions write times."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def error(name: str, message: str = "as the script wants it") -> Answer:
    """An answer that is an exception."""
    return {"raise": name, "message": message}


@dataclass(frozen=True, slots=True)
class Execution:
    """A finished execution: how it ended, and each call of a function, in order."""

    status: str
    error: str
    cause: str
    output: Any
    calls: list[dict[str, Any]]

    @property
    def steps(self) -> list[str]:
        return [call["step"] for call in self.calls]

    def inputs(self, step: str) -> list[dict[str, Any]]:
        return [call["input"] for call in self.calls if call["step"] == step]

    @property
    def answered(self) -> list[str]:
        """What Step Functions said to each answer to a task token: "", or the code of its refusal."""
        return [said for call in self.calls for said in call["tokens"]]

    @property
    def told(self) -> Any:
        """The cause of a failure, where that is JSON."""
        return json.loads(self.cause)


@dataclass(frozen=True, slots=True)
class Machine:
    """A deployed state machine, and where its stubs write down what they are called with."""

    aws: EmbeddedAws
    arn: str
    diary: Path
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def deploy(
        cls,
        aws: EmbeddedAws,
        name: str,
        state: Path,
        *,
        type_: str = "STANDARD",
        seconds: Mapping[str, int] | None = None,
        **substitutions: str,
    ) -> "Machine":
        """Creates the one of statemachines/`name`.asl.yaml, with a stub for each function that it calls.

        Args:
            seconds: state → how long it waits, where that is longer than a test should take.
        """
        diary = state / name
        diary.mkdir()
        machine = Definition(STATE_MACHINES / f"{name}.asl.yaml")
        stubs = {
            placeholder: create_stub(aws, name, placeholder.removesuffix("FunctionArn"), diary)
            for placeholder in sorted(machine.placeholders)
            if placeholder not in substitutions
        }
        definition = machine.substituted({**stubs, **substitutions})
        for waiting, most in (seconds or {}).items():
            definition["States"][waiting]["TimeoutSeconds"] = most
        created = aws.client("stepfunctions").create_state_machine(
            name=name,
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/stub",
            type=type_,
        )
        return cls(aws, created["stateMachineArn"], diary)

    def run(self, number: int, name: str, subject: str, document: Node, script: Script) -> Execution:
        """Runs it to its end.

        Args:
            number: of the execution, of `numbers`.
            name: the execution's.
            subject: the part of the input that every step is handed: it carries the script.
            document: the input.
            script: of every function that is called.
        """
        carrying = {
            **document[subject],
            "number": number,
            "script": {step: [said] if isinstance(said, Mapping) else said for step, said in script.items()},
        }
        # ministack runs a Standard machine to its end in one call, as AWS does an Express one: no polling.
        client = self.aws.client(
            "stepfunctions", config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
        )
        ended = client.start_sync_execution(
            stateMachineArn=self.arn, name=name, input=json.dumps({**document, subject: carrying})
        )
        return Execution(
            ended["status"],
            ended.get("error", ""),
            ended.get("cause", ""),
            json.loads(ended["output"]) if "output" in ended else None,
            self.calls(number),
        )

    def calls(self, number: int) -> list[dict[str, Any]]:
        """Those of an execution's functions so far."""
        diary = self.diary / f"{number}.jsonl"
        return list(map(json.loads, diary.read_text().splitlines())) if diary.exists() else []


def create_stub(aws: EmbeddedAws, machine: str, function: str, diary: Path) -> str:
    """A function that does what a test's script says. Its ARN."""
    bootstrap = zipfile.ZipInfo("bootstrap")
    bootstrap.external_attr = 0o755 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        program = Path(__file__).with_name("stub.py").read_text()
        package.writestr(bootstrap, f"#!{sys.executable}\n{program}")
    domain = machine.partition("_")[0].capitalize()
    created: dict[str, Any] = aws.client("lambda").create_function(
        FunctionName=f"stub-{function}",
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=f"arn:aws:iam::{ACCOUNT}:role/stub",
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
        Environment={
            "Variables": {
                "STEP": function.removeprefix(domain),
                "DIARY": str(diary),
                "STEP_FUNCTIONS": aws.endpoint("stepfunctions"),
            }
        },
    )
    return str(created["FunctionArn"])
