"""Releases in the ledger, as their events have made them."""

from collections.abc import Iterator, Sequence
from typing import Any

from signalbox.ledger.memory import MemoryLedger
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.findings import Level
from signalbox.packages.releases import (
    BuildEnded,
    BuildStarted,
    Event,
    Judged,
    Planned,
    Progress,
    Published,
    State,
    advance,
    begin,
)
from tests.stepping import Fate, Scheduler
from tests.unit.packages.fake_codeartifact import TEAM, version_of

UI = version_of("npm//ui/1.1.0")
TASK = Task(release=UI.key, round=1, tries=0)


def under_way(
    ledger: MemoryLedger,
    state: State,
    revision: str = "r1",
    waves: Sequence[Sequence[str]] = (),
    *,
    acts: bool = True,
) -> Entry:
    """The release of `UI` in this state, in its first round and try."""
    release = begin(UI.key, Published(revision, 1), acts=acts)
    for event in _events(tuple(map(tuple, waves))):
        if release.state is state:
            break
        release = advance(release, event)
    assert release.state is state
    entry = Releases(ledger).change(
        UI.key, lambda _: Entry(release=release, version=UI.version, repository=TEAM)
    )
    assert entry is not None
    return entry


def _events(waves: tuple[tuple[str, ...], ...]) -> Iterator[Event]:
    yield Judged(1, Level.ALLOW)
    yield Planned(1, waves, Level.ALLOW)
    for wave in waves:
        for package in wave:
            yield BuildStarted(1, package, 1, package)
            yield BuildEnded(1, package, 1, package, Progress.SUCCEEDED)


def crashing_once(run: Any, step: int, fate: Fate) -> int:
    """Runs it as an actor that dies at this step, and comes again; answers how many steps there were."""
    fates: list[Fate] = ["go"] * step
    fates.append(fate)
    scheduler = Scheduler(lambda _: 0, lambda: fates.pop(0) if fates else "go")
    scheduler.add("function", run)
    scheduler.run()
    return scheduler.steps
