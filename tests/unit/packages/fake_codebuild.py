"""CodeBuild in memory: `Builds`, held to the suite of the real adapter, and its events; and who waits."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from signalbox.clock import Clock, iso
from signalbox.errors import NotFoundError, RefusedError, ThrottledError
from signalbox.packages.builds import OUTCOMES, RUNNING, TOKEN_VARIABLE, Built, End, Phase, why
from tests.unit.packages.fake_codeartifact import ACCOUNT, NOON, REGION

TOKEN_SECONDS = 300.0
"""How long CodeBuild knows an idempotency token (StartBuild, CodeBuild API Reference)."""


class FakeBuild(msgspec.Struct):
    """A build, as CodeBuild keeps it."""

    id: str
    project: str
    environment: dict[str, str]
    begun_at: float
    status: str = RUNNING
    ended_at: float = 0.0
    said: str = ""

    @property
    def built(self) -> Built:
        if self.status == RUNNING:
            return Built(self.id)
        phases = (
            [Phase("BUILD", self.status, (f"COMMAND_EXECUTION_ERROR: {self.said}",))] if self.said else []
        )
        end = End(
            id=self.id,
            outcome=OUTCOMES[self.status],
            ended_at=self.ended_at,
            seconds=self.ended_at - self.begun_at,
            why=why(self.id, self.status, phases, log_of(self.id)),
        )
        return Built(self.id, end)


class FakeCodeBuild:
    """Builds that end when a test says so.

    Attributes:
        builds: all that were started, by their ids.
        places: how many may run or wait; more are refused for now.
        calls: how often each operation was called.
        failing: operation → the errors that its next calls end with.
        meanwhile: what happens while a build is being started; it is told its id.
    """

    def __init__(self, *projects: str, clock: Clock = lambda: NOON) -> None:
        self.meanwhile: Callable[[str], object] = lambda _: None
        self.projects = set(projects)
        self.builds: dict[str, FakeBuild] = {}
        self.places = 1_000
        self.calls: Counter[str] = Counter()
        self.failing: dict[str, list[Exception]] = defaultdict(list)
        self._clock = clock
        self._numbers = count(1)
        self._tokens: dict[str, tuple[float, str, dict[str, str], str]] = {}

    def start(self, project: str, token: str, environment: Mapping[str, str]) -> str:
        self._called("start")
        self._check(project)
        at, of, told, known = self._tokens.get(token, (-TOKEN_SECONDS, "", {}, ""))
        if self._clock() < at + TOKEN_SECONDS:
            if (of, told) != (project, environment):
                raise RefusedError("StartBuild: InvalidInputException: the token had other parameters")
            return known
        if len(self.running()) >= self.places:
            raise ThrottledError(
                "StartBuild: AccountLimitExceededException: Cannot have more builds in queue"
            )
        build = FakeBuild(f"{project}:{next(self._numbers):08}", project, dict(environment), self._clock())
        self.builds[build.id] = build
        self._tokens[token] = self._clock(), project, dict(environment), build.id
        self.meanwhile(build.id)
        return build.id

    def look(self, ids: Collection[str]) -> dict[str, Built]:
        self._called("look")
        return {id_: self.builds[id_].built for id_ in ids if id_ in self.builds}

    def find(self, project: str, token: str, since: float) -> Built | None:
        self._called("find")
        self._check(project)
        found = [
            build
            for build in self.builds.values()
            if build.project == project and build.environment.get(TOKEN_VARIABLE) == token
        ]
        return found[-1].built if found and found[-1].begun_at >= since else None

    def stop(self, build: str) -> None:
        self._called("stop")
        if build not in self.builds:
            raise NotFoundError(f"StopBuild: ResourceNotFoundException: {build}")
        if self.builds[build].status == RUNNING:
            self.end(build, "STOPPED")

    def _called(self, operation: str) -> None:
        self.calls[operation] += 1
        if self.failing[operation]:
            raise self.failing[operation].pop(0)

    def _check(self, project: str) -> None:
        if project not in self.projects:
            raise NotFoundError(f"StartBuild: ResourceNotFoundException: Project cannot be found: {project}")

    # What happens

    def running(self) -> list[FakeBuild]:
        return [build for build in self.builds.values() if build.status == RUNNING]

    def end(self, build: str, status: str = "SUCCEEDED", said: str = "") -> str:
        """Ends a build; answers its event, as SQS has it."""
        ended = self.builds[build]
        ended.status, ended.ended_at, ended.said = status, float(int(self._clock())), said
        return event_of(ended)


def log_of(build: str) -> str:
    return f"https://console.aws.amazon.com/cloudwatch/home?region={REGION}#logs:{build}"


def event_of(build: FakeBuild, **detail: Any) -> str:
    """The event of a build's status."""
    arn = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build.id}"
    phases = [
        {"phase-type": "SUBMITTED", "phase-status": "SUCCEEDED", "phase-context": []},
        {
            "phase-type": "BUILD",
            "phase-status": build.status,
            "phase-context": [f"COMMAND_EXECUTION_ERROR: {build.said}"] if build.said else [],
            "start-time": _moment(build.begun_at),
            "end-time": _moment(build.ended_at),
        },
        {"phase-type": "COMPLETED", "start-time": _moment(build.ended_at)},
    ]
    about = {
        "build-start-time": _moment(build.begun_at),
        "logs": {"deep-link": log_of(build.id)},
        "phases": [] if build.status == RUNNING else phases,
    }
    told = {
        "build-id": arn,
        "build-status": build.status,
        "project-name": build.project,
        "additional-information": about,
        **detail,
    }
    return json.dumps(
        {
            "id": f"event-of-{build.id}",
            "source": "aws.codebuild",
            "detail-type": "CodeBuild Build State Change",
            "account": ACCOUNT,
            "region": REGION,
            "time": iso(build.ended_at or build.begun_at),
            "resources": [arn],
            "detail": told,
        }
    )


def _moment(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%b} {moment.day}, {moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"


class FakeTokens:
    """The executions that wait, and what they were let go with.

    Attributes:
        waiting: the tokens that somebody waits for.
        answered: token → output, of those that were let go.
        calls: how often one was answered, also for nothing.
    """

    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.answered: dict[str, dict[str, Any]] = {}
        self.calls = 0

    def succeed(self, token: str, output: dict[str, Any]) -> None:
        self.calls += 1
        if token in self.waiting:
            self.waiting.remove(token)
            self.answered[token] = output
