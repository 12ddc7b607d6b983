"""One release of a version, each build started once, promoted at most once: whatever order things come in.

Workers hold what they have claimed in their hands, and lose it when they crash; between any two of their
steps others work, events come twice and late, and time passes. CodeBuild and the repository keep what really
happened.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from signalbox.packages.findings import Level
from signalbox.packages.releases import (
    BuildClaimed,
    BuildEnded,
    BuildStarted,
    Event,
    Inspect,
    Judged,
    MakePlan,
    Planned,
    Progress,
    Promote,
    Promoted,
    PromotionClaimed,
    PromotionPutOff,
    PromotionRefused,
    Published,
    Reason,
    Release,
    Retried,
    StartBuild,
    State,
    Superseded,
    Withdrawn,
    advance,
    begin,
    due,
)

LEASE = 60.0
AT_MOST = 2
PLANS = [(), (("a",),), (("a", "b", "c"),), (("a", "b"), ("c",)), (("a",), ("b",), ("c", "d"))]
INDEX = st.integers(0, 1_000)


@dataclass
class Work:
    """What a worker has claimed, and how far it has come."""

    release: Release
    effect: StartBuild | Promote
    lease_until: float
    result: Event | None = None


@dataclass
class CodeBuild:
    """Starts a build once for each token, and knows how each has ended."""

    tokens: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    calls: dict[tuple[int, str, int], int] = field(default_factory=dict)
    running: set[tuple[int, str, int]] = field(default_factory=set)
    green: set[tuple[int, str]] = field(default_factory=set)

    def start(self, work: Work, effect: StartBuild) -> BuildStarted:
        build = (work.release.round, effect.package, effect.attempt)
        assert self.tokens.setdefault(effect.token, build) == build
        assert list(self.tokens.values()).count(build) == 1, "two tokens for one build"
        self.calls[build] = self.calls.get(build, 0) + 1
        assert self.calls[build] == 1 or effect.resumed, "started twice by somebody who did not look"
        if self.calls[build] == 1:
            self.running.add(build)
        return BuildStarted(*build, id=effect.token[:8])


class OneRelease(RuleBasedStateMachine):
    @initialize(plan=st.sampled_from(PLANS))
    def publish_first(self, plan: tuple[tuple[str, ...], ...]) -> None:
        self.now = 1_000.0
        self.waves = plan
        self.sequence = 1
        self.release = begin("npm//core/1.1.0", Published("r1", 1), acts=True)
        self.hands: list[Work] = []
        self.mail: list[Event] = [Published("r1", 1)]
        self.builds = CodeBuild()
        self.promoted: str | None = None

    def write(self, event: Event) -> bool:
        """Read, advance, write on condition: one step of the store."""
        before, self.release = self.release, advance(self.release, event)
        again = advance(self.release, event)
        assert again is self.release
        assert self.release.sequence >= before.sequence
        assert self.release.round >= before.round
        if before.state is State.SUPERSEDED:
            assert self.release.state is State.SUPERSEDED
        if before.state is State.PROMOTED:
            assert self.release.state is State.PROMOTED
        return self.release is not before

    # What comes from outside

    @rule(what=st.sampled_from(["same", "same", "revision", "revision", "withdrawn", "higher"]), rarely=INDEX)
    def something_happens(self, what: str, rarely: int) -> None:
        self.sequence += 1 + rarely % 2
        match what:
            case "same":
                self.mail.append(Published(self.release.revision, self.sequence))
            case "revision" if not rarely % 3:
                self.mail.append(Published(f"r{self.sequence}", self.sequence))
            case "withdrawn" if not rarely % 4:
                self.mail.append(Withdrawn(self.sequence))
            case "higher" if not rarely % 8:
                self.mail.append(Superseded("npm//core/1.1.1"))

    @rule()
    def ask_for_another_try(self) -> None:
        self.write(Retried(self.release.round, self.release.tries))

    @precondition(lambda self: self.mail)
    @rule(which=INDEX, keep=st.booleans())
    def deliver(self, which: int, *, keep: bool) -> None:
        number = which % len(self.mail)
        self.write(self.mail[number] if keep else self.mail.pop(number))

    @precondition(lambda self: self.builds.running)
    @rule(
        which=INDEX, outcome=st.sampled_from([Progress.SUCCEEDED] * 3 + [Progress.FAILED, Progress.STOPPED])
    )
    def end_a_build(self, which: int, outcome: Any) -> None:
        build = sorted(self.builds.running)[which % len(self.builds.running)]
        self.builds.running.remove(build)
        if outcome is Progress.SUCCEEDED:
            self.builds.green.add(build[:2])
        self.mail += [BuildStarted(*build, id="x"), BuildEnded(*build, id="x", outcome=outcome)]

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    # What workers do

    @rule(which=INDEX, verdict=st.sampled_from([Level.ALLOW] * 4 + [Level.WARN, Level.DENY]))
    def work(self, which: int, verdict: Level) -> None:
        """A worker asks what is due, and decides it or claims it."""
        effects = due(self.release, self.now, AT_MOST)
        if not effects:
            return
        effect = effects[which % len(effects)]
        match effect:
            case Inspect():
                self.decide(Judged(self.release.round, verdict))
            case MakePlan():
                self.decide(Planned(self.release.round, self.waves, verdict))
            case StartBuild() | Promote():
                self.claim(effect)

    def decide(self, decision: Event) -> None:
        """Two may have decided the same: the second's comes late."""
        self.write(decision)
        self.mail.append(decision)

    def claim(self, effect: StartBuild | Promote) -> None:
        until = self.now + LEASE
        claim: Event = (
            BuildClaimed(self.release.round, effect.package, effect.attempt, self.now, until)
            if isinstance(effect, StartBuild)
            else PromotionClaimed(self.release.round, self.now, until)
        )
        if self.write(claim):
            self.hands.append(Work(self.release, effect, until))

    @precondition(lambda self: self.hands)
    @rule(which=INDEX, how=st.sampled_from(["well", "well", "well", "refused", "anew", "throttled"]))
    def act(self, which: int, how: str) -> None:
        work = self.hands[which % len(self.hands)]
        if self.now >= work.lease_until:
            self.hands.remove(work)
            return
        if work.result is not None:
            return
        if isinstance(work.effect, StartBuild):
            self.check_order(work, work.effect)
            work.result = self.builds.start(work, work.effect)
        else:
            work.result = self.copy(work, work.effect, how)

    def check_order(self, work: Work, effect: StartBuild) -> None:
        waves = work.release.waves
        number = next(n for n, wave in enumerate(waves) if effect.package in wave)
        for package in (each for wave in waves[:number] for each in wave):
            assert (work.release.round, package) in self.builds.green, (
                "a wave began before the last was green"
            )

    def copy(self, work: Work, effect: Promote, how: str) -> Event:
        for package in (each for wave in self.waves for each in wave):
            assert (work.release.round, package) in self.builds.green, "promoted without being green"
        if how == "throttled":
            return PromotionPutOff(work.release.round, work.lease_until)
        if how != "well" and self.promoted is None:
            revision = f"r{self.sequence}+" if how == "anew" else ""
            return PromotionRefused(work.release.round, work.lease_until, revision)
        assert self.promoted in {None, effect.revision}, "promoted twice"
        self.promoted = effect.revision
        return Promoted(work.release.round)

    @precondition(lambda self: self.hands)
    @rule(which=INDEX, crash=st.booleans())
    def report(self, which: int, *, crash: bool) -> None:
        """The worker notes what it did, or dies, with the effect done or not."""
        work = self.hands[which % len(self.hands)]
        if crash or work.result is not None:
            self.hands.remove(work)
        if work.result is not None and not crash:
            self.write(work.result)

    @invariant()
    def what_it_says_is_so(self) -> None:
        if not hasattr(self, "release"):
            return
        release = self.release
        if release.state is State.PROMOTED:
            assert self.promoted == release.revision
        if release.state in {State.READY, State.PROMOTING, State.PROMOTED}:
            assert all((release.round, package) in self.builds.green for package in release.builds)
        busy = [
            each for each in release.builds.values() if each.progress in {Progress.STARTING, Progress.RUNNING}
        ]
        assert len(busy) <= AT_MOST

    @rule()
    def all_goes_well_for_a_while(self) -> None:
        while self.mail:
            self.write(self.mail.pop(0))
        while self.builds.running:
            self.end_a_build(0, Progress.SUCCEEDED)
        held = len(self.hands)
        self.work(0, Level.ALLOW)
        if len(self.hands) > held:
            self.act(held, "well")
            self.report(held, crash=False)

    def teardown(self) -> None:
        """In the end, when all events have come and people have repaired what failed, it comes to an end."""
        if not hasattr(self, "release"):
            return
        self.hands.clear()
        for _ in range(30):
            self.all_goes_well_for_a_while()
            self.ask_for_another_try()
            self.now += LEASE
        withdrawn = self.release.reason is Reason.WITHDRAWN
        assert self.release.state in {State.PROMOTED, State.SUPERSEDED} or withdrawn
        if self.release.state is not State.PROMOTED:
            assert self.promoted is None


TestOneRelease = OneRelease.TestCase
