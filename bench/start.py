"""What a function's cold start takes: importing it and calling it once, against a plain handler's.

Both run in a fresh interpreter on what a Lambda function loads and nothing else: the layers and functions as
`sam build` made them for this machine, and what the managed runtime brings (boto3 and what it needs, from
.venv). The plain handler (`bench/plain`) makes the same calls of AWS, with the same libraries imported as in
their guides. The answers are moto's, recorded once and repeated from memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from compileall import compile_dir
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml
from botocore import xform_name

from bench.answers import Answers
from bench.first_calls import FIRST_CALLS, LEFT_OUT, furnish
from bench.functions import RUNTIME, Function, copy, functions_of, locked, size
from local import processes
from local.deployment import Application, build
from local.estate.guard import Guard
from local.estate.semantics import aws_semantics
from local.estate.server import moto_application
from local.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TIMES = 10
SECONDS_AT_MOST = 60.0
KUBERNETES = "KubernetesLayer"
AIOHTTP = (
    *("aiohttp", "aiohappyeyeballs", "aiosignal", "attrs", "frozenlist", "idna", "multidict", "propcache"),
    "yarl",
)
"""What aws-embedded-metrics brings with it where nobody stops it."""
OURS, PLAIN, UNCOMPILED = "ours", "plain", "plain, not compiled"


class StartError(RuntimeError):
    """A function that could not be called; what it said."""


@dataclass(slots=True)
class Start:
    """The cold starts of one function, by who was started.

    `sizes` are the bytes of what it loads, unzipped, by folder; `modules` those of the last start.
    """

    name: str
    calls: int
    sizes: Mapping[str, int]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu_seconds: dict[str, list[float]] = field(default_factory=dict)
    modules: dict[str, int] = field(default_factory=dict)

    def add(self, who: str, account: Mapping[str, Any]) -> None:
        self.seconds.setdefault(who, []).append(account["import_seconds"] + account["call_seconds"])
        self.cpu_seconds.setdefault(who, []).append(account["cpu_seconds"])
        self.modules[who] = account["modules"]

    def ratio(self, to: str) -> float:
        """Of the medians: 0.5 is half of the other's time."""
        return median(self.seconds[OURS]) / median(self.seconds[to])

    def cpu_ratio(self, to: str) -> float:
        """The same of the CPU time, which other work on the machine disturbs less."""
        return median(self.cpu_seconds[OURS]) / median(self.cpu_seconds[to])

    @property
    def unzipped(self) -> int:
        """Bytes without the layer of the Kubernetes client, which only one function loads."""
        return sum(content for folder, content in self.sizes.items() if folder != KUBERNETES)


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who is started when: the folders that hold its modules, its environment and its event."""

    who: str
    at: float
    folders: tuple[Path, ...]
    environment: Mapping[str, str]
    event: dict[str, Any]

    def run(self, *, remember: bool = False) -> dict[str, Any]:
        """One start in an interpreter of its own; its account."""
        task = {
            "paths": [str(path) for path in self.folders],
            "event": self.event,
            "at": self.at,
            "remember": remember,
        }
        done = subprocess.run(  # noqa: S603 - this interpreter, our own program
            [sys.executable, "-I", "-S", "-B", str(ROOT / "bench" / "first_call.py")],
            input=json.dumps(task),
            env={**self.environment, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=SECONDS_AT_MOST,
            check=False,
        )
        if done.returncode != 0:
            said = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            raise StartError(f"{self.environment['AWS_LAMBDA_FUNCTION_NAME']}, {self.who}, failed:\n{said}")
        account: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return account


def measure(step: Callable[[str], None], times: int = TIMES) -> list[Start]:
    """Starts every function so many times, ours and the plain handler in turn.

    Raises:
        StartError: a function could not be called, or asked for what it had not asked for at first.
    """
    with (
        _laid_out(step) as folder,
        aws_semantics(),
        Answers(Guard(moto_application())) as answers,
    ):
        starts = []
        for start, contestants in _recorded(answers, folder, step):
            step(f"Starting {start.name} {times} times, and as often the plain handler")
            for _ in range(times):
                for contestant in contestants:
                    answers.repeat(start.name)
                    start.add(contestant.who, contestant.run())
            starts.append(start)
        if answers.lacking:
            raise StartError(f"not asked when it was recorded: {', '.join(sorted(set(answers.lacking)))}")
        return starts


def _recorded(
    answers: Answers, folder: Path, step: Callable[[str], None]
) -> list[tuple[Start, list[Contestant]]]:
    """Each function called once on moto, in the order of the state machine; who is to be started for it."""
    step("Recording what each function asks of AWS first")
    answers.remember("furnishing")
    place = furnish(answers.url)
    template = yaml.safe_load((folder / "artifacts" / "template.yaml").read_text())
    functions = functions_of(template, place.resources)
    known = FIRST_CALLS.keys() | LEFT_OUT.keys()
    if functions.keys() != known:
        differing = ", ".join(sorted(functions.keys() ^ known))
        raise StartError(f"bench/first_calls.py and the template differ in {differing}")
    plan, recorded = "", []
    for name, event in FIRST_CALLS.items():
        ours = _ours(functions[name], folder, answers.url, event(place, plan))
        answers.remember(name)
        account = ours.run(remember=True)
        plan = plan or account["answer"].get("plan", "")
        sizes = {part: size(folder / "artifacts" / part) for part in (name, *functions[name].layers)}
        plain = _plain(functions[name], folder, answers.url, account["calls"], ours.at)
        recorded.append((Start(name, len(account["calls"]), sizes), [ours, *plain]))
    return recorded


def _ours(function: Function, folder: Path, url: str, event: dict[str, Any]) -> Contestant:
    own = folder / "artifacts" / function.name
    layers = [folder / "artifacts" / layer / "python" for layer in function.layers]
    environment = function.environment(own, url) | {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
    return Contestant(OURS, time.time(), (own, *layers, folder / "runtime"), environment, event)


def _plain(
    function: Function, folder: Path, url: str, calls: list[list[Any]], at: float
) -> Iterator[Contestant]:
    """The plain handler that makes the same calls: compiled as our layers are, and as SAM leaves it."""
    own = ROOT / "bench" / "plain"
    kubernetes = KUBERNETES in function.layers
    environment = function.environment(own, url) | {
        "SERVICES": ",".join(dict.fromkeys(service for service, _, _ in calls)),
        "LIBRARIES": "lightkube" if kubernetes else "",
    }
    event = {
        "calls": [[service, xform_name(operation), parameters] for service, operation, parameters in calls]
    }
    for who, libraries in ((PLAIN, "plain"), (UNCOMPILED, "uncompiled")):
        layers = [folder / "kubernetes"] if kubernetes else []
        yield Contestant(who, at, (own, *layers, folder / libraries, folder / "runtime"), environment, event)


@contextmanager
def _laid_out(step: Callable[[str], None]) -> Iterator[Path]:
    """What was built and the other libraries, in a folder where nobody changes them meanwhile."""
    with TemporaryDirectory(prefix="signalbox-start-") as name:
        folder = Path(name)
        application = Application()
        with processes.locked(application.build):
            build(application, step)
            shutil.copytree(application.build / "artifacts", folder / "artifacts")
        step("Laying out what the plain handler loads")
        copy(RUNTIME, folder / "runtime")
        copy([*locked("dependencies"), *AIOHTTP], folder / "uncompiled")
        copy(locked("kubernetes"), folder / "kubernetes")
        shutil.copytree(folder / "uncompiled", folder / "plain")
        for compiled in ("runtime", "plain", "kubernetes"):
            compile_dir(folder / compiled, quiet=2)
        yield folder
