"""Each build is started once for each attempt, wave after wave, and whoever waits is told.

The step and two workers at the queue interleave, die before or after any call of the ledger, of CodeBuild and
of Step Functions, and lose answers; events come twice, in any order, or never; CodeBuild knows a token for
five minutes and has no place now and then; a higher version comes in the middle.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.errors import BuildsHeldBackError, ThrottledError, TransientError, UnavailableError
from signalbox.intake import Message
from signalbox.packages.entries import Releases, Step
from signalbox.packages.releases import Progress, Reason, State, Superseded
from signalbox.packages.waiting import let_go
from tests.stepping import CrashedError, Fate, Scheduler, Stepped
from tests.unit.packages.building_site import RECEIVES, Site
from tests.unit.packages.fake_codebuild import FakeBuild

AT_MOST = 2
HOUR = 3_600.0
"""After this Step Functions ends the waiting, and does the step again."""
VISIBILITY_SECONDS = 360.0
PLANS = [(("a",),), (("a", "b", "c"),), (("a", "b"), ("c",)), (("a",), ("b", "c", "d"), ("e",))]

type Answer = Literal["good", "throttled", "lost"]


@dataclass
class Mail:
    """A message of the queue, and when it comes."""

    body: str
    due_at: float
    receives: int = 1


class Unreliable:
    """Stands before CodeBuild: has no place now, or does what it is asked and its answer gets lost."""

    def __init__(self, codebuild: object, fates: list[Answer]) -> None:
        self._codebuild = codebuild
        self._fates = fates

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._codebuild, name)

        def unreliable(*args: Any) -> Any:
            fate: Answer = self._fates.pop(0) if self._fates else "good"
            if fate == "throttled":
                raise ThrottledError(name)
            answer = method(*args)
            if fate == "lost":
                raise UnavailableError(name)
            return answer

        return unreliable


class World:
    """One release on its way through its waves, with everybody who could be at it."""

    def __init__(self, data: st.DataObject, plan: tuple[tuple[str, ...], ...], crashes: int) -> None:
        self.data = data
        self.plan = plan
        self.crashes = crashes
        self.answers: list[Answer] = data.draw(
            st.lists(st.sampled_from(["good", "good", "throttled", "lost"]), max_size=8), "answers"
        )
        self.has_lost_something = crashes > 0 or "lost" in self.answers
        self.site = Site(*plan, at_most=AT_MOST, seen=self._seen)
        self.site.codebuild.meanwhile = self.check_start
        self.mail: list[Mail] = []
        self.next = Step.BUILD
        self.token = ""
        self.step_due_at = self.site.now

    def _seen(self, each: Any) -> Any:
        codebuild = hasattr(each, "start")
        return Stepped(Unreliable(each, self.answers) if codebuild else each, METHODS)

    # What must hold

    def check_start(self, id_: str) -> None:
        build = self.site.codebuild.builds[id_]
        name = build.project.removeprefix("rebuild-")
        assert len(self.running()) <= AT_MOST
        number = next(n for n, wave in enumerate(self.plan) if name in wave)
        before = {each for wave in self.plan[:number] for each in wave}
        green = {
            each.project.removeprefix("rebuild-")
            for each in self.site.codebuild.builds.values()
            if each.status == "SUCCEEDED"
        }
        assert before <= green, "a wave began before the last was green"
        attempts = Counter(map(_attempt, self.site.codebuild.builds.values()))
        assert attempts[_attempt(build)] == 1, "started twice"

    def running(self) -> list[FakeBuild]:
        return self.site.codebuild.running()

    # Who is at work

    def fate(self) -> Fate:
        if not self.crashes:
            return "go"
        fate: Fate = self.data.draw(st.sampled_from(["go", "go", "go", "crash-before", "crash-after"]))
        self.crashes -= fate != "go"
        return fate

    def turn(self, *, superseded: bool = False) -> None:
        """Whoever has something to do does it, at once with the others."""
        scheduler = Scheduler(lambda among: self.data.draw(st.integers(0, among - 1)), self.fate)
        if self.step_is_due():
            scheduler.add("step", self.step)
        if superseded:
            scheduler.add("intake", self.supersede)
        due = [each for each in self.mail if each.due_at <= self.site.now]
        self.mail = [each for each in self.mail if each not in due]
        due = self.data.draw(st.permutations(due), "order")
        for batch in (due[::2], due[1::2]):
            if batch:
                scheduler.add("worker", lambda batch=batch: self.work(batch))  # type: ignore[misc]  # binds now
        scheduler.run()
        self.go_on()

    def step_is_due(self) -> bool:
        return self.next is Step.BUILD and self.site.now >= self.step_due_at

    def step(self) -> None:
        self.site.tokens.waiting.discard(self.token)
        task = self.site.task()
        self.token = task.token
        self.step_due_at = self.site.now + HOUR
        try:
            self.site.build(task)
        except BuildsHeldBackError:
            self.step_fails(80.0)
        except (TransientError, CrashedError):
            self.step_fails(2.0)

    def step_fails(self, interval: float) -> None:
        self.site.tokens.waiting.discard(self.token)
        self.step_due_at = self.site.now + interval

    def work(self, batch: list[Mail]) -> None:
        messages = [Message(f"m{n}", each.body, each.receives, f"m{n}") for n, each in enumerate(batch)]
        try:
            ends = self.site.admit_messages(messages)
        except CrashedError:
            waits = {message.id: VISIBILITY_SECONDS for message in messages}
        else:
            waits = {id_: float(seconds) for id_, seconds in ends.waits.items()}
        for message, each in zip(messages, batch, strict=True):
            if message.id in waits and each.receives < RECEIVES:
                self.mail.append(Mail(each.body, self.site.now + waits[message.id], each.receives + 1))

    def go_on(self) -> None:
        """The execution, where its token was answered; a person, where a build is red."""
        if output := self.site.tokens.answered.get(self.token):
            self.next, self.token = Step(output["next"]), ""
            self.step_due_at = self.site.now
        if self.next is Step.SETTLE and self.site.release.reason in {
            Reason.BUILD_FAILED,
            Reason.BUILD_STOPPED,
        }:
            self.site.retry()
            self.next = Step.BUILD

    def supersede(self) -> None:
        """As the intake does it."""
        releases = Releases(self._seen(self.site.ledger))
        entry = releases.advance(self.site.version, Superseded("npm/acme/ui/1.1.1"))
        let_go(entry, releases, self._seen(self.site.tokens))

    def end_builds(self, *, well: bool = False) -> None:
        for build in self.running():
            status = "SUCCEEDED" if well else self.data.draw(st.sampled_from(STATUSES))
            if status:
                body = self.site.codebuild.end(build.id, status)
                copies = 1 if well else self.data.draw(st.integers(0, 2), "copies")
                self.mail += [Mail(body, self.site.now)] * copies

    def end_well(self) -> None:
        """No more crashes and refusals; what got lost is found within the hour."""
        self.crashes = 0
        self.answers.clear()
        for _ in range(40):
            if self.next is not Step.BUILD:
                return
            self.turn()
            self.end_builds(well=True)
            self.site.now += 900


METHODS = frozenset({"records", "put_records", "start", "look", "find", "stop", "succeed"})
STATUSES = ["", "", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED", "STOPPED"]


def _attempt(build: FakeBuild) -> tuple[str, str]:
    return build.environment["SIGNALBOX_PACKAGE"], build.environment["SIGNALBOX_ATTEMPT"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    plan=st.sampled_from(PLANS),
    crashes=st.sampled_from([0, 0, 1, 2, 4]),
    superseded=st.sampled_from([None, None, None, 0, 1, 2, 4]),
)
def test_each_build_is_started_once_and_whoever_waits_is_told(
    data: st.DataObject, plan: tuple[tuple[str, ...], ...], crashes: int, superseded: int | None
) -> None:
    world = World(data, plan, crashes)
    for turn in range(data.draw(st.integers(1, 10), "turns")):
        world.turn(superseded=turn == superseded)
        world.end_builds()
        world.site.now += data.draw(st.sampled_from([1.0, 30.0, 80.0, 400.0, HOUR]), "seconds")
    world.end_well()

    release = world.site.release
    assert world.next is not Step.BUILD, "somebody waits for ever"
    if release.state is not State.SUPERSEDED:
        assert (release.state, world.next) == (State.READY, Step.PROMOTE)
        assert world.site.entry.troubles == {}
    elif not world.has_lost_something:
        noted = {build.id for build in release.builds.values() if build.progress is Progress.RUNNING}
        assert {build.id for build in world.running()} <= noted, "settling stops what it knows of"
