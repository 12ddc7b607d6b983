"""The Packages act: a version is published, what depends on it is rebuilt in waves, and it is promoted.

Another version takes its place meanwhile, one dependent fails, and its owner mends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.padding import Padding

from local import teams
from local.demo.findings import Finding
from local.progress import Steps
from local.settings import ROOT
from local.workshop import SHARED, Made, Workshop
from signalbox.packages.releases import NOT_GREEN, Progress, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from local.embedded import EmbeddedAws
    from local.inbox import Heard, Inbox
    from signalbox.packages.entries import Entry

PARAMETERS: Final[Mapping[str, str]] = {}
CORE, LEFT, RIGHT, APP = teams.CORE, teams.LEFT, teams.RIGHT, teams.APP
OVERTAKEN, RELEASED = "1.1.0", "1.1.1"
WAVES = ((LEFT, RIGHT), (APP,))
BROKEN = (
    f'[ "$PACKAGE_VERSION" != {OVERTAKEN} ] || sleep 600',  # long enough to be overtaken
    'echo "$SIGNALBOX_PACKAGE with $PACKAGE_NAME $PACKAGE_VERSION: 1 of 12 tests has failed" && exit 1',
)
BUILT = {
    LEFT: Counter({f"{OVERTAKEN} SUCCEEDED": 1, f"{RELEASED} SUCCEEDED": 1}),
    RIGHT: Counter({f"{OVERTAKEN} STOPPED": 1, f"{RELEASED} FAILED": 1, f"{RELEASED} SUCCEEDED": 1}),
    APP: Counter({f"{RELEASED} SUCCEEDED": 1}),
}
"""Package → how its builds ended, by what they were for."""
TRIES = 3
"""One of the version that was overtaken, two of the other."""
TOLD = [
    f"{CORE}/{OVERTAKEN} superseded platform",
    f"{CORE}/{RELEASED} failed platform",
    f"{CORE}/{RELEASED} failed shapes",
    f"{CORE}/{RELEASED} promoted platform",
]
"""Release, outcome and owner."""
ENDS = {State.PROMOTED, State.SUPERSEDED, State.FAILED, State.STOPPED}
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.2


@dataclass(slots=True)
class Scene:
    """The deployed domain, what was printed, and what was said."""

    console: Console
    workshop: Workshop
    inbox: Inbox
    began: float = field(default_factory=time.time)
    told: set[str] = field(default_factory=set)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def publish(self, version: str) -> str:
        """Publishes a version of core; the key of its release."""
        made = Made(CORE, version, more={"licenses": []})
        self.workshop.publish(made)
        self.console.print(f"{self._seconds()} [bold]{CORE} {version} is published[/] in {made.repository}")
        return f"{CORE}/{version}"

    def follow(self, what: str, until: Callable[[Mapping[str, Entry]], bool]) -> dict[str, Entry]:
        """Prints what the ledger has to tell as it comes, until that is so."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            entries = self.workshop.entries(*(f"{CORE}/{each}" for each in (OVERTAKEN, RELEASED)))
            for release, entry in entries.items():
                for line in _lines(entry):
                    self._tell(f"{release.rpartition('/')[2]} {line}")
            if until(entries):
                return entries
            if time.monotonic() > give_up_at:
                self.console.print(f"[red]Not within {PATIENCE_SECONDS:.0f} s:[/] {what}.")
                return entries
            time.sleep(POLL_SECONDS)

    def listen(self) -> Heard:
        """What the stack has said since the last time."""
        heard = self.inbox.drain()
        self.alerts += [each for each in heard.alerts if _attribute(each, "domain") == "packages"]
        self.events += [each for each in heard.events if each["source"] == "signalbox.packages"]
        return heard

    def _tell(self, line: str) -> None:
        if line not in self.told:
            self.told.add(line)
            self.console.print(f"{self._seconds()} {line}")

    def _seconds(self) -> str:
        return f"{time.time() - self.began:6.1f}"


def play(console: Console, aws: EmbeddedAws, outputs: Mapping[str, str], inbox: Inbox) -> list[Finding]:
    """Plays it on a deployed stack; what CodeArtifact, CodeBuild and the messages show afterwards."""
    workshop = Workshop(aws, outputs)
    with Steps() as report:
        report(f"Making {len(teams.OWNERS)} teams with {len(teams.STOCK)} packages and their projects")
        teams.create(workshop)
        workshop.put_project(teams.project(RIGHT), *BROKEN)
    console.print(_STORY)
    scene = Scene(console, workshop, inbox)
    overtaken = scene.publish(OVERTAKEN)
    scene.follow("it is built", lambda entries: _is_half_built(entries.get(overtaken)))
    released = scene.publish(RELEASED)
    failed = scene.follow("its build fails", lambda entries: _is_settled(entries.get(released), State.FAILED))
    before = workshop.shared(CORE)
    scene.listen()
    _show(console, scene.alerts, "shapes")
    workshop.put_project(teams.project(RIGHT), teams.TESTS)
    console.print(f"{RIGHT} is mended. [bold]make releases STAGE=local ARGS='retry {released} --yes'[/]")
    _retry(workshop, released)
    entries = scene.follow("it is promoted", lambda found: _is_settled(found.get(released), State.PROMOTED))
    scene.listen()
    return _inspect(scene, entries, failed.get(released), before)


_STORY = f"""
{APP} depends on {LEFT} and {RIGHT}, both on {CORE}. Their versions {teams.FIRST} are shared.
The tests of {RIGHT} do not pass with what comes now.
[dim]seconds after the first version was published[/]"""


def _is_half_built(entry: Entry | None) -> bool:
    builds = entry.release.builds if entry else {}
    progress = {package: build.progress for package, build in builds.items()}
    return (progress.get(LEFT), progress.get(RIGHT)) == (Progress.SUCCEEDED, Progress.RUNNING)


def _is_settled(entry: Entry | None, state: State) -> bool:
    return bool(entry and entry.release.state is state and entry.settled == entry.release.execution)


def _lines(entry: Entry) -> Iterator[str]:
    """What there is to tell of a release, each once."""
    release = entry.release
    for objection in entry.objections:
        yield f"policy, {objection.level}: {escape(objection.text)}"
    if release.waves:
        yield f"waves: {', then '.join(', '.join(wave) for wave in release.waves)}"
    for package, build in release.builds.items():
        if build.id:
            style = "red" if build.progress in NOT_GREEN else "green"
            yield f"{package}, attempt {build.attempt}: [{style}]{build.progress}[/]"
    if release.state in ENDS:
        why = release.by or release.reason or ""
        yield f"[bold]{release.state}[/]{why and f': {why}'}"


def _show(console: Console, alerts: Sequence[Mapping[str, Any]], owner: str) -> None:
    """What an owner was told of the failure."""
    for alert in alerts:
        if (_attribute(alert, "owner"), _attribute(alert, "outcome")) == (owner, "failed"):
            console.print(f"\n[red]The alert to {owner}[/]")
            console.print(Padding(escape(alert["Message"]), (0, 0, 1, 2), expand=False))


def _attribute(alert: Mapping[str, Any], name: str) -> str:
    return str(alert["MessageAttributes"].get(name, {}).get("Value", ""))


def _retry(workshop: Workshop, release: str) -> None:
    """As an operator does it. Raises RuntimeError with what the command said where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "operations", "releases", "retry", "--local", release, "--yes"],
        cwd=ROOT,
        env={**os.environ, "SIGNALBOX_STATE": str(workshop.aws.state)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the release could not be tried again: {done.stdout}{done.stderr}")


def _inspect(
    scene: Scene, entries: Mapping[str, Entry], failed: Entry | None, before: Mapping[str, str]
) -> list[Finding]:
    overtaken, released = (entries.get(f"{CORE}/{each}") for each in (OVERTAKEN, RELEASED))
    return [
        *_decided(overtaken, released),
        _built(scene.workshop),
        Finding(
            "nothing promoted while a build is red",
            bool(failed and failed.release.red == (RIGHT,)) and before.keys() == {teams.FIRST},
            f"{SHARED} had {', '.join(before)}",
        ),
        _told(scene.alerts),
        *_promoted(scene.workshop),
    ]


def _decided(overtaken: Entry | None, released: Entry | None) -> Iterator[Finding]:
    objections = released.objections if released else ()
    waves = released.release.waves if released else ()
    state, by = (overtaken.release.state, overtaken.release.by) if overtaken else ("-", "-")
    yield Finding(
        "judged by the policy",
        [each.code for each in objections] == ["license-missing"],
        ", ".join(f"{each.level}: {each.code}" for each in objections),
    )
    yield Finding("planned in two waves", waves == WAVES, "; ".join(", ".join(wave) for wave in waves))
    yield Finding("a newer version took its place", state is State.SUPERSEDED, f"{OVERTAKEN} {state} by {by}")


def _built(workshop: Workshop) -> Finding:
    ends = {
        package: Counter(
            f"{_version(build)} {build['buildStatus']}" for build in workshop.builds(teams.project(package))
        )
        for package in BUILT
    }
    return Finding("each build begun once", ends == BUILT, f"{sum(map(Counter.total, ends.values()))} builds")


def _told(alerts: Sequence[Mapping[str, Any]]) -> Finding:
    told = sorted(
        " ".join(_attribute(each, name) for name in ("release", "outcome", "owner")) for each in alerts
    )
    return Finding("one message an owner and outcome", told == TOLD, f"{len(told)} messages")


def _promoted(workshop: Workshop) -> Iterator[Finding]:
    shared, executions = workshop.shared(CORE), workshop.executions()
    copies = [
        event
        for event in workshop.events(CORE)
        if (event["repositoryName"], event["packageVersion"]) == (SHARED, RELEASED)
    ]
    yield Finding(
        "promoted after the repair",
        shared == {teams.FIRST: "Published", RELEASED: "Published"},
        f"{SHARED} has {', '.join(shared)}",
    )
    yield Finding(
        "our own promotion began no release",
        len(copies) == 1 and len(executions) == TRIES,
        f"{len(copies)} event of {SHARED}, {len(executions)} executions",
    )


def _version(build: Mapping[str, Any]) -> str:
    variables = {each["name"]: each["value"] for each in build["environment"]["environmentVariables"]}
    return str(variables["PACKAGE_VERSION"])
