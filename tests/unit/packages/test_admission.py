"""What follows from an event, decision by decision."""

from typing import Any

import msgspec
import pytest

from signalbox.packages.admission import (
    PROMOTION_SECONDS,
    Drop,
    Ignore,
    Later,
    Look,
    Rules,
    Start,
    admitted,
    decide,
    noted,
    overtaken,
    told,
)
from signalbox.packages.coordinates import Package
from signalbox.packages.entries import KEPT_EVENTS, Entry
from signalbox.packages.events import Change
from signalbox.packages.releases import Published, Reason, Release, State, Withdrawn
from signalbox.packages.repositories import Description, Origin, Status
from signalbox.packages.settings import AdmitSettings
from tests.unit.packages.fake_codeartifact import ACCOUNT, DOMAIN, NOON, TEAM, version_of
from tests.unit.packages.intake_stack import QUIET, SCOPE

UI = version_of("npm/acme/ui/1.4.2")
RULES = Rules(scope=SCOPE, domain=DOMAIN, owner=ACCOUNT, sources=(TEAM,), quiet_seconds=QUIET)


def change(sequence: int = 7, id_: str = "e7", repository: str = TEAM) -> Change:
    return Change(
        version=UI,
        domain=DOMAIN,
        owner=ACCOUNT,
        repository=repository,
        sequence=sequence,
        id=id_,
        occurred_at=NOON,
    )


def entry(state: State = State.WAITING, **release: Any) -> Entry:
    """The event number 7 is noted."""
    known = Release(**{"version": UI.key, "revision": "r1", "sequence": 7, "state": state, **release})
    return Entry(release=known, version=UI.version, repository=TEAM, changed_at=NOON, events=("e7",))


def found(**changes: Any) -> Description:
    fields: dict[str, Any] = {
        "version": UI,
        "status": Status.PUBLISHED,
        "revision": "r1",
        "origin": Origin.INTERNAL,
        "entered": TEAM,
    }
    return Description(**fields | changes)


@pytest.mark.parametrize(
    ("known", "event", "after", "decision"),
    [
        (None, change(), 0, Look()),
        (entry(), change(9, "e9"), 0, Look()),
        (entry(), change(5, "e5"), 0, Drop("stale")),
        (entry(), change(7, "another"), 0, Look()),
        (entry(), change(), 0, Later(QUIET)),
        (entry(), change(), QUIET - 1, Later(1)),
        (entry(), change(), QUIET, Start()),
        (entry(State.PLANNED), change(), QUIET, Drop("duplicate")),
        (entry(State.PROMOTING), change(), QUIET, Later(QUIET)),
        (entry(State.PROMOTED), change(), 0, Drop("duplicate")),
        (entry(State.SUPERSEDED), change(9, "e9"), 0, Look()),
    ],
)
def test_what_to_do_with_an_event(
    known: Entry | None, event: Change, after: float, decision: Look | Drop | Later | Start
) -> None:
    assert decide(known, event, NOON + after, QUIET) == decision


def test_where_nothing_waits_to_be_quiet_a_promotion_is_waited_for_all_the_same() -> None:
    assert decide(entry(State.PROMOTING), change(), NOON, 0.0) == Later(PROMOTION_SECONDS)


@pytest.mark.parametrize(
    ("description", "is_released", "said"),
    [
        (None, False, Withdrawn(7)),
        (found(), False, Published("r1", 7)),
        (found(origin=Origin.UNKNOWN, entered=""), False, Published("r1", 7)),
        (found(status=Status.UNFINISHED), False, Ignore("unfinished")),
        (found(status=Status.UNLISTED), True, Withdrawn(7)),
        (found(status=Status.DISPOSED), True, Withdrawn(7)),
        (found(entered="shared"), False, Ignore("entered-elsewhere")),
        (found(entered="shared"), True, Withdrawn(7)),
        (found(origin=Origin.EXTERNAL, entered=""), False, Ignore("external")),
        (found(origin=Origin.EXTERNAL, entered=""), True, Withdrawn(7)),
    ],
)
def test_what_codeartifact_says(
    description: Description | None, is_released: object, said: Published | Withdrawn | Ignore
) -> None:
    assert told(description, change(), RULES, is_released=bool(is_released)) == said


def test_what_comes_from_outside_where_it_is_asked_for() -> None:
    rules = msgspec.structs.replace(RULES, external=True)
    outside = found(origin=Origin.EXTERNAL, entered="")
    assert told(outside, change(), rules, is_released=False) == Published("r1", 7)


def test_another_revision_forgets_what_was_known_of_the_round() -> None:
    before = msgspec.structs.replace(
        entry(State.PLANNED),
        decisions=3,
        projects={"npm//app": "p"},
        troubles={"npm//app": "red"},
        detail="x",
    )
    after = admitted(before, change(9), Published("r2", 9), acts=False)
    assert (after.release.round, after.release.revision) == (2, "r2")
    assert (after.decisions, after.projects, after.troubles, after.detail) == (0, {}, {}, "")
    assert admitted(before, change(), Published("r1", 7), acts=False) is before


def test_a_version_that_was_withdrawn_elsewhere_begins_in_the_next_round() -> None:
    """The names of executions are the release's and its round's: the first round's was begun."""
    before = entry(State.STOPPED, reason=Reason.WITHDRAWN)
    after = admitted(before, change(2, "e2", "platform"), Published("r9", 2), acts=True)
    assert (after.repository, after.release.round, after.release.sequence) == ("platform", 2, 2)
    assert after.release.acts


def test_so_many_events_are_remembered_and_each_once() -> None:
    known = entry()
    for number in range(8, 40):
        known = noted(known, change(number, f"e{number}"), NOON + number)
    assert noted(known, change(39, "e39"), NOON).events == known.events
    assert len(known.events) == KEPT_EVENTS
    assert known.changed_at == NOON + 39


@pytest.mark.parametrize(
    ("format_", "latest_first", "expected"),
    [
        ("npm", ["1.4.3", "1.4.2"], {"1.4.2": "1.4.3"}),
        ("npm", ["1.4.2", "1.4.3"], {}),
        ("npm", ["2.0.0", "1.4.2"], {}),
        ("npm", ["1.5.0-rc.1", "1.4.2"], {}),
        ("npm", ["1.5.0", "1.5.0-rc.1"], {"1.5.0-rc.1": "1.5.0"}),
        ("npm", ["1.5.0", "1.4.9", "1.4.2"], {"1.4.9": "1.5.0", "1.4.2": "1.5.0"}),
        ("nuget", ["1.4.3", "1.4.2"], {"1.4.2": "1.4.3"}),
        ("pypi", ["latest", "1.0"], {"1.0": "latest"}),
    ],
)
def test_a_version_makes_way_for_a_higher_one_of_its_line_published_later(
    format_: str, latest_first: list[str], expected: dict[str, str]
) -> None:
    package = Package.parse(format_, None, "ui")
    keys = {f"{package.key}/{each}": each for each in latest_first}
    takers = overtaken(package, latest_first, keys)
    assert takers == {f"{package.key}/{one}": f"{package.key}/{by}" for one, by in expected.items()}


def test_what_is_not_published_makes_no_way() -> None:
    package = Package.parse("npm", None, "ui")
    assert overtaken(package, ["1.4.3"], {"npm//ui/1.4.2": "1.4.2"}) == {}


def test_the_rules_are_those_of_the_environment() -> None:
    settings = AdmitSettings.from_environment(
        {
            "LEDGER_TABLE": "ledger",
            "AWS_REGION": "us-east-1",
            "HUB_ACCOUNT": ACCOUNT,
            "PACKAGES_DOMAIN": DOMAIN,
            "PACKAGES_DOMAIN_OWNER": ACCOUNT,
            "PACKAGES_SOURCE_REPOSITORIES": "team,platform",
            "PACKAGES_SHARED_REPOSITORY": "shared",
            "PACKAGES_INTAKE_QUEUE_URL": "queue",
            "PACKAGES_STATE_MACHINE_ARN": "arn",
            "PACKAGES_MODE": "act",
            "PACKAGES_QUIET_SECONDS": "90",
            "PACKAGES_EXTERNAL": "true",
        }
    )
    rules = Rules.of(settings)
    assert (rules.sources, rules.quiet_seconds) == (("team", "platform"), 90.0)
    assert (rules.acts, rules.external, rules.domain) == (True, True, DOMAIN)
