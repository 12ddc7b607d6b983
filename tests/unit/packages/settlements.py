"""Releases as they end, and everybody whom settling them talks to."""

from collections.abc import Mapping
from typing import Any

from signalbox.failures import Failure
from signalbox.packages.advice import Place
from signalbox.packages.entries import Entry, Task
from signalbox.packages.findings import Level, Objection
from signalbox.packages.outcomes import Outcome, Settlement, settlement_of
from signalbox.packages.owners import Declaration, Owner, Owners
from signalbox.packages.releases import Build, Progress, Reason, Release, State

NOON = 1_780_000_000.0
KEY = "npm/acme/ui/1.1.0"
UI, FORMS, SHOP, SITE = "npm/acme/ui", "npm/acme/forms", "npm/acme/shop", "npm/acme/site"
WAVES = ((FORMS, SHOP), (SITE,))
PLACE = Place("signalbox-dev", "acme", "shared")
DENIED = Objection("license", Level.DENY, "@acme/ui 1.1.0 has the licence GPL-3.0-only")
FAILURE = Failure(
    step="PlanRelease", error="BrokenPolicyError", cause='{"errorMessage": "expected int - at `$.rebuild`"}'
)


def owner(name: str, *packages: str, contact: str = "") -> Owner:
    return Owner(name, Declaration(packages=packages, project="rebuild-{name}", contact=contact))


OWNERS = Owners([owner("team-ui", UI, FORMS), owner("team-shop", SHOP, contact="#shop")])
"""Nobody owns the site."""


def release_of(**changes: Any) -> Release:
    fields: dict[str, Any] = {"version": KEY, "revision": "r1", "sequence": 7, "acts": True}
    return Release(**fields | changes)


def entry_of(release: Release, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "release": release,
        "version": "1.1.0",
        "repository": "team",
        "published_at": NOON - 90,
        "projects": {each: f"rebuild-{each.rpartition('/')[2]}" for wave in WAVES for each in wave},
    }
    return Entry(**fields | changes)


def builds(**progress: Progress) -> dict[str, Build]:
    """By the last part of the packages' names; the others have succeeded."""
    known = {each: each.rpartition("/")[2] for wave in WAVES for each in wave}
    return {
        each: Build(progress.get(name, Progress.SUCCEEDED), 1, f"rebuild-{name}:0001")
        for each, name in known.items()
    }


def red(reason: Reason, state: State = State.FAILED, **progress: Progress) -> Entry:
    return entry_of(
        release_of(state=state, reason=reason, waves=WAVES, builds=builds(**progress)),
        troubles={SHOP: "BUILD: exit status 1"},
    )


ENTRIES: dict[str, Entry] = {
    "planned": entry_of(
        release_of(acts=False, state=State.PLANNED, waves=WAVES, builds=dict.fromkeys(builds(), Build()))
    ),
    "planned-nothing": entry_of(release_of(acts=False, state=State.READY)),
    "promoted": entry_of(release_of(state=State.PROMOTED, waves=WAVES, builds=builds())),
    "denied": entry_of(release_of(state=State.FAILED, reason=Reason.POLICY), objections=(DENIED,)),
    "build-failed": red(
        Reason.BUILD_FAILED, shop=Progress.FAILED, forms=Progress.FAILED, site=Progress.PENDING
    ),
    "build-stopped": red(Reason.BUILD_STOPPED, State.STOPPED, site=Progress.STOPPED),
    "refused": entry_of(
        release_of(state=State.FAILED, reason=Reason.REFUSED, waves=WAVES, builds=builds()),
        detail="another one of 1.1.0 is in shared",
    ),
    "withdrawn": red(Reason.WITHDRAWN, State.STOPPED, shop=Progress.RUNNING, site=Progress.PENDING),
    "superseded": entry_of(
        release_of(
            state=State.SUPERSEDED,
            by="npm/acme/ui/1.1.1",
            waves=WAVES,
            builds=builds(forms=Progress.RUNNING, shop=Progress.RUNNING, site=Progress.PENDING),
        )
    ),
    "stuck": entry_of(release_of(state=State.INSPECTED)),
}
"""Each as its try ends."""


def task_of(entry: Entry, **changes: Any) -> Task:
    release = entry.release
    fields: dict[str, Any] = {
        "release": release.version,
        "round": release.round,
        "tries": release.tries,
    }
    return Task(**fields | changes)


def ended(name: str) -> Task:
    """The task of the last step of an execution that ends as `ENTRIES` has it."""
    entry = ENTRIES[name]
    return task_of(entry, failure=FAILURE) if name == "stuck" else task_of(entry)


def settlement(name: str) -> Settlement:
    return settlement_of(ENTRIES[name], ended(name), NOON)


def outcome(name: str) -> Outcome:
    return settlement(name).outcome


class FakeTopic:
    """The alert topic: what was published, as (subject, message, attributes, chat)."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, dict[str, str], str]] = []
        self.failing: list[Exception] = []

    def publish(
        self, subject: str, message: str, attributes: dict[str, str], others: Mapping[str, str]
    ) -> str:
        if self.failing:
            raise self.failing.pop(0)
        self.published.append((subject, message, attributes, others["https"]))
        return f"message-{len(self.published)}"

    @property
    def told(self) -> list[tuple[str, str]]:
        """Owner and outcome of each message."""
        return [(attributes["owner"], attributes["outcome"]) for _, _, attributes, _ in self.published]


class FakeBus:
    """The event bus: what a rule of it sees, without what EventBridge itself adds."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.failing: list[Exception] = []

    def put(self, source: str, detail_type: str, detail: dict[str, Any]) -> str:
        if self.failing:
            raise self.failing.pop(0)
        self.events.append({"source": source, "detail-type": detail_type, "detail": detail})
        return f"event-{len(self.events)}"


class StoppedBuilds:
    """The builds: which were stopped, and the errors that stopping some of them comes to."""

    def __init__(self, **refused: Exception) -> None:
        self.stopped: list[str] = []
        self.refused: dict[str, Exception] = dict(refused)

    def stop(self, build: str) -> None:
        if build in self.refused:
            raise self.refused[build]
        self.stopped.append(build)
