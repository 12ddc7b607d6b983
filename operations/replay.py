"""The command `replay`: puts queues, judgement and a person's screen together."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.display import terminal
from operations.letters import Terms, judge, judge_run
from operations.queues import MoveTasks, Queue
from operations.redriving import redrive
from operations.replaying import go_through
from operations.showing import done, letters_table, looked_at
from operations.stacks import Stack
from signalbox.eventbridge import parse_envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_sqs import SQSClient

    from operations.letters import Finding, Letter
    from operations.redriving import Task
    from operations.replaying import Deliver, Outcome

QUEUES = {
    "rule": "RuleDeadLetterQueue",
    "intake": "IntakeDeadLetterQueue",
    "sweep": "SweepDeadLetterQueue",
    "compact": "CompactDeadLetterQueue",
    "builds": "BuildsDeadLetterQueue",
    "job": "JobDeadLetterQueue",
}
"""Each dead-letter queue's name in the template, without the domain's."""
DOMAINS = {
    "spot": ("rule", "intake", "sweep"),
    "documents": ("rule", "intake", "compact"),
    "packages": ("rule", "intake", "builds", "job"),
}
"""Which of them a domain has."""
REDRIVEN = {"intake", "builds"}
"""Those that SQS fills, and empties by itself."""
TAKERS = {"aws.codebuild": "BuildsQueue"}
"""The source of an event → the queue that its rule delivers to; the others' is the intake's."""
RUNS = {"sweep", "compact", "job"}
"""Those of runs by the clock: the next run does what a failed one left undone."""
AGES = {"spot": "SpotMaximumEventAgeSeconds"}
"""The parameter that says how old an event may be; where there is none, none is too old to act on."""
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: whose queue (a key of DOMAINS), which, done or only shown, how much, since when."""

    domain: str
    queue: str
    execute: bool
    most: int
    since: float

    @property
    def name(self) -> str:
        """The queue's logical id."""
        return self.queue_of(QUEUES[self.queue])

    def queue_of(self, suffix: str) -> str:
        """A queue of the domain, as the template has it."""
        return f"{self.domain.capitalize()}{suffix}"


def replay(request: Request, stack_name: str, cloudformation: CloudFormationClient, sqs: SQSClient) -> int:
    """Shows or does it; returns 0, or 1 where something that was to be replayed was not."""
    stack = Stack.find(cloudformation, stack_name)
    queue = Queue(sqs, stack.queue_url(request.name))
    waiting = {
        kind: Queue(sqs, stack.queue_url(request.queue_of(QUEUES[kind]))).waiting()
        for kind in DOMAINS[request.domain]
    }
    told = ", ".join(f"{kind} {count}" for kind, count in waiting.items())
    print(f"Stack {stack.name} in {stack.region}. In the dead-letter queues: {told}.")
    if request.queue in REDRIVEN and request.execute:
        return _redrive(MoveTasks(sqs, queue.arn()), request.name)
    judged = _judge(request, stack)
    outcome = _go_through(request, queue, judged, _deliver(request, stack, sqs), waiting[request.queue])
    if outcome.seen:
        terminal().print(letters_table(outcome, request.name, time.time()))
    print("\n".join([*looked_at(outcome), *_ending(request, outcome)]))
    return 0 if outcome.clean else 1


def _judge(request: Request, stack: Stack) -> Callable[[Letter], Finding]:
    if request.queue in RUNS:
        return judge_run
    oldest = stack.seconds(AGES[request.domain]) if request.domain in AGES else math.inf
    return partial(judge, terms=Terms(time.time(), oldest, request.since))


def _deliver(request: Request, stack: Stack, sqs: SQSClient) -> Deliver | None:
    if not request.execute:
        return None
    if request.queue != "rule":
        return _discard

    def deliver(letters: Sequence[Letter]) -> set[str]:
        """Each to the queue that its rule delivers to."""
        by_queue = defaultdict(list)
        for letter in letters:
            by_queue[TAKERS.get(parse_envelope(letter.body).source, "IntakeQueue")].append(letter)
        queues = {name: Queue(sqs, stack.queue_url(request.queue_of(name))) for name in by_queue}
        return set().union(*(queues[name].send(part) for name, part in by_queue.items()))

    return deliver


def _discard(letters: Sequence[Letter]) -> set[str]:
    return {letter.id for letter in letters}


def _go_through(
    request: Request,
    queue: Queue,
    judged: Callable[[Letter], Finding],
    deliver: Deliver | None,
    waiting: int,
) -> Outcome:
    with _progress() as progress:
        task = progress.add_task(f"Going through {request.name}", total=waiting)

        def report(seen: int) -> None:
            progress.update(task, completed=seen, total=max(seen, waiting))

        return go_through(queue, judged, deliver, most=request.most, report=report)


def _redrive(moves: MoveTasks, name: str) -> int:
    with _progress() as progress:
        shown = progress.add_task(f"SQS moves {name} back", total=None)

        def report(task: Task) -> None:
            progress.update(shown, completed=task.moved, total=task.to_move)

        ended = redrive(moves, time.sleep, report)
    print(f"SQS moved about {ended.moved} messages back: {ended.status}. {ended.reason}".rstrip())
    return 0 if ended.status == "COMPLETED" else 1


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def _ending(request: Request, outcome: Outcome) -> list[str]:
    if not outcome.seen:
        return []
    if request.execute:
        return done(outcome, "thrown away" if request.queue in RUNS else "replayed")
    lines = ["Nothing was changed. To do it, say the same again with --execute."]
    if request.queue in REDRIVEN:
        lines.append("Why the intake could not take them stands in its log: messages returned to the queue.")
    return lines
