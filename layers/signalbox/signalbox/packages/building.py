"""Building a wave: started by the workflow's step, carried on by the end of each build, watched by nobody.

Who starts a build has claimed it before, in the one write that also takes in what is new. What it came to is
one write again. Who crashes in between leaves claims whose leases run out, and whoever comes then looks for
the build before starting it.

Somebody comes: the message of the end that was being taken in; Step Functions' next try of the step; or,
where all else failed, the step's next hour (`BuildWave`). Where CodeBuild refuses for now, since no more
builds may wait in the account, the step fails for now and is tried again later, and the message comes again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import (
    AccessDeniedError,
    BuildsHeldBackError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    TransientError,
)
from signalbox.ledger.records import Record, RecordStore
from signalbox.packages.builds import Built, End, claim, environment, note, take_in
from signalbox.packages.entries import (
    Entry,
    Purpose,
    Releases,
    Step,
    Task,
    Waiting,
    answer,
    build_key,
    next_step,
)
from signalbox.packages.releases import Progress, Reason, Release, StartBuild
from signalbox.packages.waiting import TaskTokens, let_go

LEASE_SECONDS = 75.0
"""Of a claim to start builds: longer than the functions that make one may run."""
START_SECONDS = 40.0
"""After this an invocation starts no more builds: what it started must be noted before its time is up."""
FORGOTTEN_SECONDS = 600.0
"""A build that CodeBuild does not know so long after it was claimed has been deleted."""

ADVICE: dict[type[SignalboxError], str] = {
    NotFoundError: "Make the project, or have the owner's parameter name another; then try again.",
    AccessDeniedError: "Its name must begin as PackagesProjectPrefix says. Rename it, then try again.",
}
"""What to do where a build could not be started, beside reading what AWS says."""


class Builds(Protocol):
    """CodeBuild. All raise SignalboxError: a transient one where it did not answer, or has no place now."""

    def start(self, project: str, token: str, environment: Mapping[str, str]) -> str:
        """Starts a build, once for each token within five minutes (StartBuild, CodeBuild API Reference).
        Answers its id. Project and environment are the same each time."""
        ...

    def look(self, ids: Collection[str]) -> dict[str, Built]:
        """These builds, by their ids; those that CodeBuild does not know are left out."""
        ...

    def find(self, project: str, token: str, since: float) -> Built | None:
        """The build of a project that was told that token, started at ``since`` or later."""
        ...

    def stop(self, build: str) -> None:
        """Stops a build; one that has ended stays as it is."""
        ...


class Place(NamedTuple):
    """The CodeArtifact domain that builds read from, and its account."""

    domain: str
    owner: str


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What became of builds.

    Attributes:
        ends: that said something new; of those that could not be started, too.
        started: how many were.
    """

    ends: tuple[End, ...] = ()
    started: int = 0

    @property
    def succeeded(self) -> int:
        return sum(end.outcome is Progress.SUCCEEDED for end in self.ends)

    @property
    def failed(self) -> int:
        """The stopped ones count."""
        return len(self.ends) - self.succeeded

    @property
    def seconds(self) -> tuple[float, ...]:
        """How long they took."""
        return tuple(end.seconds for end in self.ends if end.seconds is not None)


class Driven(Work, frozen=True, kw_only=True):
    """What became of a release.

    Attributes:
        held: why some builds that are due were not started: "" where all were.
        errors: of what may fail without harm, for the log.
    """

    entry: Entry
    held: str = ""
    errors: tuple[str, ...] = ()


type Change = Callable[[Entry], tuple[Entry, tuple[End, ...]]]


class Waves:
    """Starts what is due of a release, and notes it.

    Args:
        ledger: made with `signalbox.packages.entries.RETENTION_SECONDS`.
        at_most: builds of one release at once.
    """

    def __init__(self, ledger: RecordStore, builds: Builds, clock: Clock, place: Place, at_most: int) -> None:
        self.releases = Releases(ledger)
        self._ledger = ledger
        self._builds = builds
        self._clock = clock
        self._place = place
        self._at_most = at_most

    def drive(self, version: str, change: Change, until: float) -> Driven | None:
        """Changes a release, and starts what is due then. None where there is no such release.

        Args:
            change: a pure function. Answers the release, and the ends that are news.
            until: after this, seconds since 1970, nothing more is started.

        Raises:
            SignalboxError: the ledger did not answer, or refused. What was started is found again.
        """
        ends: tuple[End, ...] = ()
        claimed: tuple[StartBuild, ...] = ()
        now = self._clock()

        def changed(known: Entry | None) -> Entry | None:
            nonlocal ends, claimed
            if known is None:
                return None
            entry, ends = change(known)
            entry, claimed = claim(entry, now, LEASE_SECONDS, self._at_most)
            return entry

        entry = self.releases.change(version, changed)
        if entry is None:
            return None
        if not claimed:
            return Driven(entry=entry, ends=ends)
        built, held = self._start_all(entry, claimed, min(until, now + START_SECONDS))
        after, news = self._note(version, built) if built else (entry, ())
        return Driven(
            entry=after,
            ends=ends + news,
            started=sum(bool(each.id) for _, each in built),
            held=held,
            errors=self._stop_strays(after, [each.id for _, each in built if each.id and not each.end]),
        )

    def look(self, entry: Entry) -> list[tuple[Purpose, End]]:
        """The ends of builds that are thought to be running: their events got lost."""
        release = entry.release
        running = {
            build.id: (package, build)
            for package, build in release.builds.items()
            if build.progress is Progress.RUNNING
        }
        known = self._builds.look(running) if running else {}
        lost = self._clock() - FORGOTTEN_SECONDS
        ends = []
        for id_, (package, build) in running.items():
            end = known[id_].end if id_ in known else None
            if id_ not in known and build.claimed_at < lost:
                end = self._failed(f"build {id_} has been deleted: CodeBuild does not know it any more.", id_)
            if end is not None:
                ends.append((_purpose(release, package, build.attempt), end))
        return ends

    def _start_all(
        self, entry: Entry, claimed: Iterable[StartBuild], until: float
    ) -> tuple[list[tuple[Purpose, Built]], str]:
        """What was started, and why the rest was not. After one transient error the others would meet it."""
        built: list[tuple[Purpose, Built]] = []
        for each in claimed:
            if self._clock() > until:
                return built, f"{each.package}: there was no time left to start its build"
            try:
                built.append(self._start(entry, each))
            except TransientError as error:
                return built, f"{each.package}: {error}"
        return built, ""

    def _start(self, entry: Entry, build: StartBuild) -> tuple[Purpose, Built]:
        release = entry.release
        purpose = _purpose(release, build.package, build.attempt)
        project = entry.projects.get(build.package, "")
        try:
            built = self._found(entry, project, build) if build.resumed else None
            if built is None:
                told = environment(entry, build, self._place.domain, self._place.owner)
                built = Built(self._builds.start(project, build.token, told))
        except RefusedError as error:
            advice = ADVICE.get(type(error), "")
            why = f"CodeBuild starts no build of project {project}: {error}. {advice}"
            return purpose, Built("", self._failed(why.strip()))
        # Somebody may have noted it before, and written the same.
        self._ledger.put_records([Record(build_key(built.id), msgspec.to_builtins(purpose))])
        return purpose, built

    def _found(self, entry: Entry, project: str, build: StartBuild) -> Built | None:
        since = entry.release.builds[build.package].claimed_at
        return self._builds.find(project, build.token, since)

    def _failed(self, why: str, build: str = "") -> End:
        return End(id=build, outcome=Progress.FAILED, ended_at=self._clock(), why=why)

    def _note(self, version: str, built: Sequence[tuple[Purpose, Built]]) -> tuple[Entry, tuple[End, ...]]:
        news: tuple[End, ...] = ()

        def noted(known: Entry | None) -> Entry | None:
            nonlocal news
            if known is None:
                return None
            entry, news = note(known, built)
            return entry

        entry = self.releases.change(version, noted)
        return entry or self.releases.known(version), news

    def _stop_strays(self, entry: Entry, started: Iterable[str]) -> tuple[str, ...]:
        """Stops what nobody asks for any more: meanwhile the release was superseded, withdrawn or changed."""
        withdrawn = entry.release.reason is Reason.WITHDRAWN
        wanted = set() if withdrawn else {build.id for build in entry.release.builds.values()}
        errors = []
        for id_ in started:
            if id_ not in wanted:
                try:
                    self._builds.stop(id_)
                except SignalboxError as error:
                    errors.append(f"build {id_} runs for nothing: {error}")
        return tuple(errors)


def _purpose(release: Release, package: str, attempt: int) -> Purpose:
    return Purpose(release=release.version, round=release.round, package=package, attempt=attempt)


class BuildWave:
    """The step ``BuildWave``: has a wave built, and its execution wait for it.

    Step Functions ends the waiting after an hour and does the step again. So an event that got lost, and a
    build that nobody could start, cost an hour at most.
    """

    def __init__(self, waves: Waves, tokens: TaskTokens, clock: Clock) -> None:
        self._waves = waves
        self._releases = waves.releases
        self._tokens = tokens
        self._clock = clock

    def build(self, task: Task) -> Driven:
        """Starts what is due. Answers the task's token at once where there is nothing to be waited for.

        Raises:
            BuildsHeldBackError: some of what is due could not be started. Try again a minute later.
            SignalboxError: the ledger, CodeBuild or Step Functions did not answer, or refused.
        """
        entry = let_go(self._releases.known(task.release), self._releases, self._tokens)
        ends = self._waves.look(entry) if _is_asked_for(task, entry) else []

        def change(known: Entry) -> tuple[Entry, tuple[End, ...]]:
            if not _is_asked_for(task, known):
                return known, ()
            after, news = take_in(known, ends)
            waiting = Waiting(token=task.token, round=task.round, tries=task.tries, wave=after.release.wave)
            return msgspec.structs.replace(after, waiting=waiting), news

        driven = self._waves.drive(task.release, change, self._clock() + START_SECONDS)
        assert driven is not None  # noqa: S101 - it was known a moment ago
        self._go_on(task, driven.entry)
        if starting := _starting(driven.entry):
            why = driven.held or "somebody else has claimed them"
            raise BuildsHeldBackError(f"{task.release}: {len(starting)} builds are not started yet: {why}")
        return driven

    def _go_on(self, task: Task, entry: Entry) -> None:
        if entry.waiting is not None and entry.waiting.token == task.token:
            let_go(entry, self._releases, self._tokens)
        else:  # the release is past this task, or has been let go meanwhile
            self._tokens.succeed(task.token, answer(entry, task.round, task.tries))


def _is_asked_for(task: Task, entry: Entry) -> bool:
    return task.is_of(entry) and next_step(entry.release) is Step.BUILD


def _starting(entry: Entry) -> list[str]:
    """What is claimed, and not known to be started, of a wave that somebody waits for."""
    if entry.waiting is None or entry.has_waited:
        return []
    release = entry.release
    wave = release.waves[release.wave]
    return [package for package in wave if release.builds[package].progress is Progress.STARTING]
