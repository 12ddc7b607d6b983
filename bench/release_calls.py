"""What one release asks of AWS, counted call by call.

The functions as they are wired, one step after the other as the state machine has them, from the event of a
version to its promotion. CodeArtifact is the embedded one, the ledger and the parameters are moto's. What
goes to CodeBuild, Step Functions, SNS, SQS and the bus is answered on the way: builds end in the order in
which they were begun, ten events at a time. What Lambda and EventBridge do by themselves is not counted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO
from typing import TYPE_CHECKING, Any

import botocore
import msgspec
from moto import mock_aws

from bench.apart import measured_apart
from bench.first_call import Context
from bench.releasing import Graph, name, organisation
from local.codeartifact.embedded import embedded_codeartifact
from local.display import table
from local.settings import ACCESS_KEY, ACCOUNT, REGION, ROOT, SECRET_KEY
from signalbox.aws.clients import client
from signalbox.clock import iso
from signalbox.ledger.dynamodb import DynamoLedger
from signalbox.packages.index_store import IndexStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from rich.table import Table

DOMAIN, TEAM, SHARED, TABLE, POLICY, OWNERS = "acme", "team", "shared", "ledger", "/policy", "/owners/"
ARN = f"arn:aws:states:{REGION}:{ACCOUNT}"
VERSION, BEFORE = "1.5.0", "1.4.0"
QUIET_SECONDS = 60
BUILDS_AT_ONCE = 20
BATCH = 10
"""Messages that a function is handed at once, as the template has it."""
DEPENDENCIES = 10
"""Of the published version, and of the one before."""
OWNERS_DECLARED = 10
STEPS = {
    "inspect": "InspectVersion",
    "plan": "PlanRelease",
    "build": "BuildWave",
    "promote": "PromoteVersion",
    "settle": "SettleRelease",
}
"""What comes next, as the functions say it, and the state."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "HUB_ACCOUNT": ACCOUNT,
    "SIGNALBOX_STACK": "signalbox",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "LEDGER_TABLE": TABLE,
    "ALERT_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts",
    "EVENT_BUS_NAME": "signalbox",
    "PACKAGES_DOMAIN": DOMAIN,
    "PACKAGES_DOMAIN_OWNER": ACCOUNT,
    "PACKAGES_SOURCE_REPOSITORIES": TEAM,
    "PACKAGES_SHARED_REPOSITORY": SHARED,
    "PACKAGES_MODE": "act",
    "PACKAGES_QUIET_SECONDS": str(QUIET_SECONDS),
    "PACKAGES_BUILDS_AT_ONCE": str(BUILDS_AT_ONCE),
    "PACKAGES_INTAKE_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/intake",
    "PACKAGES_BUILDS_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/builds",
    "PACKAGES_STATE_MACHINE_ARN": f"{ARN}:stateMachine:packages-release",
    "PACKAGES_POLICY_PARAMETER": POLICY,
    "PACKAGES_OWNERS_PATH": OWNERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one release asked: function → operation → calls, and how often each function was called."""

    packages: int
    affected: int
    waves: int
    outcome: str
    calls: dict[str, dict[str, int]]
    invocations: dict[str, int]

    @property
    def total(self) -> int:
        return sum(sum(calls.values()) for calls in self.calls.values())

    def of(self, service: str) -> int:
        """All calls of a service, as ``codeartifact``."""
        counted = (item for calls in self.calls.values() for item in calls.items())
        return sum(number for operation, number in counted if operation.startswith(f"{service}:"))


class Answered:
    """An HTTP answer that nobody sent."""

    status_code = 200
    headers: Mapping[str, str] = {}


@dataclass(slots=True)
class Aws:
    """Counts every call of every client; answers those of what is not there."""

    calls: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    function: str = ""
    running: list[str] = field(default_factory=list)
    output: dict[str, Any] | None = None
    """What the token was answered with."""
    begun: dict[str, Any] | None = None
    """What the execution was started with."""

    def watch(self) -> None:
        watch: Any = self._called  # may answer in AWS's place, of which the stubs know nothing
        botocore.register_initializer(lambda session: session.register("before-call.*.*", watch))

    def _called(self, model: Any, params: dict[str, Any], **_: Any) -> tuple[Answered, dict[str, Any]] | None:
        if self.function:
            self.calls[self.function][f"{model.service_model.service_name}:{model.name}"] += 1
        answer = getattr(self, f"_{model.name}", None)
        if answer is None:
            return None
        body = params["body"]
        return Answered(), answer(body if isinstance(body, dict) else json.loads(body))

    def _StartExecution(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the operation's name
        self.begun = json.loads(said["input"])
        return {}

    def _SendTaskSuccess(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - likewise
        self.output = json.loads(said["output"])
        return {}

    def _StartBuild(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - likewise
        id_ = f"{said['projectName']}:{said['idempotencyToken'][:32]}"
        self.running.append(id_)
        return {"build": {"id": id_}}

    def _ChangeMessageVisibilityBatch(self, _: object) -> dict[str, Any]:  # noqa: N802 - likewise
        return {"Successful": [], "Failed": []}

    def _Publish(self, _: object) -> dict[str, Any]:  # noqa: N802 - likewise
        return {"MessageId": "1"}

    def _PutEvents(self, said: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - likewise
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in said["Entries"]]}


class Clock:
    """The functions' own: it goes on when the release waits."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._now = time.time

    def __call__(self) -> float:
        return self._now() + self._offset

    def wait(self, seconds: float) -> None:
        self._offset += seconds


class Run:
    """One release, from its event on."""

    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._aws = aws
        self._clock = clock
        self._functions: dict[str, ModuleType] = {}
        self.invocations: Counter[str] = Counter()

    def release(self, event: dict[str, Any]) -> str:
        """How it ended."""
        message = json.dumps(event)
        self._invoke("AdmitEvents", _records([message]))
        self._clock.wait(QUIET_SECONDS + 1)
        self._invoke("AdmitEvents", _records([message], receives=2))
        task = self._aws.begun
        if task is None:
            raise RuntimeError("no release was begun")
        while True:
            name_ = STEPS[task["next"]]
            answer = self._invoke(name_, {**task, "token": f"token-{self.invocations[name_]}"})
            if name_ == "SettleRelease":
                return str(answer["outcome"])
            task = self._built() if name_ == "BuildWave" else answer

    def _built(self) -> dict[str, Any]:
        """Ends builds until the execution goes on; what is next then."""
        while self._aws.output is None:
            self._clock.wait(1)
            ended, self._aws.running = self._aws.running[:BATCH], self._aws.running[BATCH:]
            if not ended:
                raise RuntimeError("nothing runs, and nobody was told")
            self._invoke("AdmitBuilds", _records([self._ended(each) for each in ended]))
        output, self._aws.output = self._aws.output, None
        return output

    def _ended(self, build: str) -> str:
        arn = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build}"
        return json.dumps(
            {
                "version": "0",
                "id": build,
                "detail-type": "CodeBuild Build State Change",
                "source": "aws.codebuild",
                "account": ACCOUNT,
                "time": iso(self._clock()),
                "region": REGION,
                "resources": [arn],
                "detail": {"build-status": "SUCCEEDED", "build-id": arn},
            }
        )

    def _invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        handler = self._functions.setdefault(function, _load(function))
        self.invocations[function] += 1
        self._aws.function = function
        answer: dict[str, Any] = handler.lambda_handler(event, Context())
        self._aws.function = ""
        return answer


def _load(function: str) -> ModuleType:
    """The handler of ``AdmitEvents`` is in ``packages_admit_events``."""
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in function)
    spec = spec_from_file_location(f"packages{words}", ROOT / "functions" / f"packages{words}" / "handler.py")
    assert spec is not None  # noqa: S101 - the path has the ending of a module
    assert spec.loader is not None  # noqa: S101 - likewise
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _records(bodies: Sequence[str], receives: int = 1) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
            for number, body in enumerate(bodies)
        ]
    }


def measure_apart(graph: Graph) -> Asked:
    """Counts in a process of its own, whose environment and clock are the functions'."""
    return measured_apart(Asked, "bench.release_calls", graph.packages, graph.affected)


def measure(graph: Graph) -> Asked:
    """Releases the first package of such a graph."""
    clock, aws = Clock(), Aws()
    aws.watch()
    time.time = clock
    with embedded_codeartifact() as codeartifact:
        os.environ |= ENVIRONMENT | {"AWS_ENDPOINT_URL_CODEARTIFACT": codeartifact.url}
        codeartifact.seed(*_published(), repository=TEAM)
        codeartifact.seed(_package("npm//x", "1.0.0"), repository=SHARED)
        event = next(
            each
            for each in codeartifact.events()
            if each["detail"]["packageVersion"] == VERSION and each["detail"]["repositoryName"] == TEAM
        )
        with mock_aws(config={"core": {"mock_credentials": False}}):
            _furnish(graph)
            run = Run(aws, clock)
            outcome = run.release(event)
    built = aws.calls["BuildWave"]["codebuild:StartBuild"] + aws.calls["AdmitBuilds"]["codebuild:StartBuild"]
    return Asked(
        packages=graph.packages,
        affected=built,
        waves=run.invocations["BuildWave"],
        outcome=outcome,
        calls={function: dict(sorted(calls.items())) for function, calls in aws.calls.items()},
        invocations=dict(run.invocations),
    )


def _published() -> Iterator[dict[str, Any]]:
    """Two versions of the first package, and what they depend on: all is in the repository."""
    libraries = [f"npm/acme/library-{number}" for number in range(DEPENDENCIES)]
    yield from (_package(each, "1.0.0") for each in libraries)
    yield from (_package(name(0), version, libraries) for version in (BEFORE, VERSION))


def _package(key: str, version: str, on: Sequence[str] = ()) -> dict[str, Any]:
    format_, namespace, name_ = key.split("/")
    return {
        "format": format_,
        "package": name_,
        "version": version,
        "licenses": [{"name": "MIT"}],
        "dependencies": [
            {
                "namespace": each.split("/")[1],
                "package": each.split("/")[2],
                "dependencyType": "regular",
                "versionRequirement": "^1.0.0",
            }
            for each in on
        ],
        **({"namespace": namespace} if namespace else {}),
    }


def _furnish(graph: Graph) -> None:
    """The index and the owners, as they are before the version is published."""
    client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    index = IndexStore(DynamoLedger(client("dynamodb"), TABLE, time.time), DOMAIN)
    for number, shard in enumerate(organisation(graph).split()):
        index.rebuild(number, shard.entries, 0.0)
    for number in range(OWNERS_DECLARED):
        declared = {"packages": [f"npm/acme/*{number}"], "project": "rebuild-{name}"}
        client("ssm").put_parameter(Name=f"{OWNERS}team-{number}", Type="String", Value=json.dumps(declared))


def calls_table(asked: Asked) -> Table:
    """A row an operation, a column a function."""
    functions = list(asked.calls)
    title = f"One release: {asked.packages:,} packages, {asked.affected:,} rebuilt in {asked.waves} waves"
    made = table("calls", *functions, "all", title=title)
    invoked = [asked.invocations[each] for each in functions]
    made.add_row("invocations", *map(str, invoked), str(sum(invoked)), style="dim")
    for operation in sorted({each for calls in asked.calls.values() for each in calls}):
        counted = [calls.get(operation, 0) for calls in asked.calls.values()]
        made.add_row(operation, *(f"{each or ''}" for each in counted), f"{sum(counted):,}")
    sums = [sum(calls.values()) for calls in asked.calls.values()]
    made.add_row("all", *map(str, sums), f"{sum(sums):,}", style="bold")
    return made


def results(releases: Sequence[Asked]) -> Iterator[tuple[str, float]]:
    """Named, for .local/bench.json."""
    for asked in releases:
        place = f"release.{asked.packages}.{asked.affected}"
        yield f"{place}.calls", asked.total
        yield f"{place}.codeartifact_calls", asked.of("codeartifact")
        for function, calls in asked.calls.items():
            for operation, number in calls.items():
                yield f"{place}.{function}.{operation}", number


def main(arguments: list[str]) -> None:
    """Two numbers: what a release in such a graph asked, as JSON."""
    packages, affected = map(int, arguments)
    with redirect_stdout(StringIO()):  # the functions' logs
        asked = measure(Graph(packages=packages, affected=affected))
    sys.stdout.buffer.write(msgspec.json.encode(asked))


if __name__ == "__main__":
    main(sys.argv[1:])
