"""A published version rebuilds what depends on it, in order, and is promoted when all is green."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.workshop import DOMAIN, SHARED, TEAMS, Made
from signalbox.packages.releases import Reason, State
from tests.e2e.packages import GREEN, RED, Family, changed_machine, operate
from tests.e2e.stack import Stack, wait_until

pytestmark = pytest.mark.embedded

WATCHED_SECONDS = 3.0
"""How long it is watched that nothing happens."""
NEXT = "1.1.0"


@pytest.fixture
def family(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Family:
    monkeypatch.setenv("SIGNALBOX_STATE", str(stack.aws.state))
    return Family.begin(stack)


def test_a_version_is_promoted_once_its_dependents_are_green(family: Family) -> None:
    family.stock_diamond()
    with family.holding():
        release = family.publish("core", NEXT)
        family.let_go("left", "right")
        family.held("app")
        assert family.shared("core") == ["1.0.0"]
        family.let_go("app")
        entry = family.settled(release, State.PROMOTED)
    assert entry.release.waves == ((family.key("left"), family.key("right")), (family.key("app"),))
    assert family.shared("core") == ["1.0.0", NEXT]
    assert [family.builds(name) for name in ("left", "right", "app")] == [["SUCCEEDED"]] * 3
    assert family.executions(release) == ["SUCCEEDED"]
    assert family.alerts() == [("promoted", "platform", release)]
    assert family.announced() == ["Package Release Promoted v1"]


def test_a_build_is_told_what_it_is_for(family: Family) -> None:
    family.stock(core=(), left=("core",))
    release = family.publish("core", NEXT)
    entry = family.settled(release, State.PROMOTED)
    [build] = family.workshop.builds(family.project("left"))
    told = {each["name"]: each["value"] for each in build["environment"]["environmentVariables"]}
    assert told.pop("SIGNALBOX_TOKEN")
    assert told == {
        "SIGNALBOX_RELEASE": release,
        "SIGNALBOX_ROUND": str(entry.release.round),
        "SIGNALBOX_PACKAGE": family.key("left"),
        "SIGNALBOX_ATTEMPT": "1",
        "PACKAGE_DOMAIN": DOMAIN,
        "PACKAGE_DOMAIN_OWNER": "123456789012",
        "PACKAGE_REPOSITORY": TEAMS[0],
        "PACKAGE_FORMAT": "npm",
        "PACKAGE_NAMESPACE": family.name,
        "PACKAGE_NAME": "core",
        "PACKAGE_VERSION": NEXT,
    }


def test_nothing_happens_while_builds_run(family: Family) -> None:
    """No function is invoked, so nobody is asked anything."""
    family.stock(core=(), left=("core",))
    with family.holding():
        release = family.publish("core", NEXT)
        family.held("left")
        wait_until(lambda: family.entry(release).release.builds[family.key("left")].id, "it is noted")
        time.sleep(WATCHED_SECONDS)
        before = family.last_invocation(), family.calls()
        time.sleep(WATCHED_SECONDS)
        assert (family.last_invocation(), family.calls()) == before
        assert family.workshop.executions()[family.entry(release).release.execution] == "RUNNING"
    family.settled(release, State.PROMOTED)


def test_a_version_that_no_range_admits_rebuilds_nothing(family: Family) -> None:
    family.stock(core=(), left=("core",))
    entry = family.settled(family.publish("core", "2.0.0"), State.PROMOTED)
    assert (entry.release.waves, family.builds("left")) == ((), [])
    assert family.shared("core") == ["1.0.0", "2.0.0"]


def test_a_dry_run_builds_and_promotes_nothing_until_it_is_approved(family: Family) -> None:
    family.stock_diamond()
    with family.stack.variable("PackagesAdmitEventsFunction", "PACKAGES_MODE", "observe"):
        release = family.publish("core", NEXT)
        entry = family.settled(release, State.PLANNED)
    assert [len(wave) for wave in entry.release.waves] == [2, 1]
    assert family.shared("core") == ["1.0.0"]
    assert [family.builds(name) for name in ("left", "right", "app")] == [[]] * 3
    assert family.alerts() == [("planned", "platform", release)]
    assert family.announced() == ["Package Release Planned v1"]

    assert operate("approve", release, "--yes") == 0
    family.settled(release, State.PROMOTED)
    assert family.shared("core") == ["1.0.0", NEXT]
    assert [family.builds(name) for name in ("left", "right", "app")] == [["SUCCEEDED"]] * 3


def test_a_failed_dependent_stops_the_promotion_and_its_owner_is_told(family: Family) -> None:
    family.stock_diamond()
    family.workshop.put_project(family.project("app"), RED)
    release = family.publish("core", NEXT)
    entry = family.settled(release, State.FAILED)
    assert (entry.release.reason, entry.release.red) == (Reason.BUILD_FAILED, (family.key("app"),))
    assert family.shared("core") == ["1.0.0"]
    assert family.alerts() == [("failed", "apps", release), ("failed", "platform", release)]
    [alert] = [each for each in family.told if each["MessageAttributes"]["owner"]["Value"] == "apps"]
    assert family.key("app") in alert["Message"]
    assert "retry" in alert["Message"]

    family.workshop.put_project(family.project("app"), GREEN)
    assert operate("retry", release, "--yes") == 0
    family.settled(release, State.PROMOTED, tries=1)
    assert family.shared("core") == ["1.0.0", NEXT]
    ends = {name: family.builds(name) for name in ("left", "right", "app")}
    assert ends == {"left": ["SUCCEEDED"], "right": ["SUCCEEDED"], "app": ["FAILED", "SUCCEEDED"]}
    assert family.announced() == ["Package Release Failed v1", "Package Release Promoted v1"]


def test_a_newer_version_takes_the_place_of_one_that_is_built(family: Family) -> None:
    family.stock_diamond()
    with family.holding():
        older = family.publish("core", NEXT)
        family.held("left", "right")
        newer = family.publish("core", "1.1.1")
        assert family.settled(older, State.SUPERSEDED).release.by == newer
        wait_until(lambda: family.builds("left")[0] == "STOPPED", "the build of the older one is stopped")
    family.settled(newer, State.PROMOTED)
    assert family.shared("core") == ["1.0.0", "1.1.1"]
    assert [family.builds(name) for name in ("left", "right")] == [["STOPPED", "SUCCEEDED"]] * 2
    assert family.builds("app") == ["SUCCEEDED"]
    assert {each for each in family.alerts() if each[2] == older} == {("superseded", "platform", older)}
    assert sorted(family.announced()) == ["Package Release Promoted v1", "Package Release Superseded v1"]


def test_events_that_come_twice_late_and_in_any_order_are_one_release_each(family: Family) -> None:
    family.stock_diamond()
    worse = {"duplicated": 1.0, "reordered": 3, "delay_seconds": 0.5, "seed": 7}
    family.stack.aws.ask_codeartifact("POST", "delivery", worse)
    releases = [family.publish(name, NEXT) for name in ("core", "left", "right")]
    family.quiet()
    for release in releases:
        family.settled(release, State.PROMOTED)
        assert family.executions(release) == ["SUCCEEDED"]
    assert [family.shared(name) for name in ("core", "left", "right")] == [["1.0.0", NEXT]] * 3
    assert [outcome for outcome, _, _ in family.alerts()] == ["promoted"] * 3


def test_a_version_that_is_published_in_steps_is_released_once_as_a_whole(family: Family) -> None:
    package = f"pypi//{family.name}"
    assets = [{"name": f"{family.name}-1.0.{end}"} for end in ("tar.gz", "whl", "cp313.whl")]
    family.workshop.publish(Made(package, "1.0", more={"asPublished": True, "assets": assets}))
    release = f"{package}/1.0"
    entry = family.settled(release, State.PROMOTED)
    assert family.executions(release) == ["SUCCEEDED"]
    assert family.workshop.revision(package, "1.0", SHARED) == entry.release.revision
    assert len(family.alerts()) == 1


def test_a_version_that_is_withdrawn_while_it_is_built_is_not_promoted(family: Family) -> None:
    family.stock(core=(), left=("core",))
    with family.holding():
        release = family.publish("core", NEXT)
        family.held("left")
        family.workshop.set_status(family.made("core", NEXT), "Unlisted")
        entry = family.settled(release, State.STOPPED)
        assert entry.release.reason is Reason.WITHDRAWN
        wait_until(lambda: family.builds("left") == ["STOPPED"], "its build is stopped")
    assert family.shared("core") == ["1.0.0"]

    family.workshop.set_status(family.made("core", NEXT), "Published")
    family.settled(release, State.PROMOTED)
    assert family.builds("left") == ["STOPPED", "SUCCEEDED"]


def test_a_project_that_is_gone_is_named(family: Family) -> None:
    family.stock(core=(), left=("core",))
    family.stack.aws.client("codebuild").delete_project(name=family.project("left"))
    release = family.publish("core", NEXT)
    entry = family.settled(release, State.FAILED)
    assert entry.release.reason is Reason.BUILD_FAILED
    assert family.project("left") in entry.troubles[family.key("left")]
    assert family.shared("core") == ["1.0.0"]
    family.workshop.put_project(family.project("left"), GREEN)
    assert operate("retry", release, "--yes") == 0
    family.settled(release, State.PROMOTED, tries=1)


def test_a_cycle_is_denied_and_its_members_are_named(family: Family) -> None:
    family.stock(core=(), left=("core", "right"), right=("left",))
    release = family.publish("core", NEXT)
    entry = family.settled(release, State.FAILED)
    assert entry.release.reason is Reason.POLICY
    [objection] = [each for each in entry.objections if each.code == "cycle"]
    assert family.key("left") in objection.text
    assert family.key("right") in objection.text
    assert (family.builds("left"), family.shared("core")) == ([], ["1.0.0"])
    [alert] = family.heard().alerts
    assert objection.text in alert["Message"]


def test_a_dependency_that_is_not_there_is_denied(family: Family) -> None:
    family.stock(core=())
    release = family.publish("core", NEXT, "nowhere")
    entry = family.settled(release, State.FAILED)
    assert [each.code for each in entry.objections] == ["missing-dependency"]
    assert family.key("nowhere") in entry.objections[0].text


def test_with_a_broken_policy_releases_wait_for_its_repair(family: Family) -> None:
    family.stock(core=())
    inspecting = "PackagesInspectVersionFunction"
    with broken_policy(family), family.stack.variable(inspecting, "POWERTOOLS_SERVICE_NAME", family.name):
        release = family.publish("core", NEXT)
        entry = family.settled(release, State.WAITING)
        assert family.executions(release) == ["FAILED"]
        assert entry.outcome == "stuck"
        [alert] = family.heard().alerts
        assert "$.licenses" in alert["Message"]
        assert family.shared("core") == ["1.0.0"]
    assert operate("retry", release, "--yes") == 0
    family.settled(release, State.PROMOTED, tries=1)


def test_a_format_that_is_not_read_is_rejected_with_its_place(family: Family) -> None:
    family.workshop.publish(Made(f"npm//{family.name}", "1.0.0", more={"format": "ruby"}))
    family.quiet()
    [rejection] = [each for each in family.stack.account.rejections() if family.name in each.body]
    assert (rejection.code, rejection.where) == ("unknown-format", "$.detail.packageFormat")


def test_what_differs_from_what_is_shared_is_not_promoted(family: Family) -> None:
    family.stock(core=())
    with family.workshop.unheard():
        there = Made(family.key("core"), NEXT, SHARED, more={"assets": [{"name": "other.tgz"}]})
        family.workshop.publish(there)
    revision = family.workshop.revision(family.key("core"), NEXT, SHARED)
    release = family.publish("core", NEXT)
    entry = family.settled(release, State.FAILED)
    assert entry.release.reason is Reason.REFUSED
    assert "ALREADY_EXISTS" in entry.detail
    assert family.workshop.revision(family.key("core"), NEXT, SHARED) == revision


def test_what_nobody_published_here_is_not_released(family: Family) -> None:
    """What comes from outside, a copy between teams, and what our own promotion causes."""
    family.stock(core=())
    release = family.publish("core", NEXT)
    family.settled(release, State.PROMOTED)
    family.workshop.publish(family.made("ingested", externalConnection="public:npmjs"))
    family.workshop.copy(family.made("core", NEXT), TEAMS[1])
    family.quiet()
    told = {each["repositoryName"] for each in family.workshop.events(family.key("core"))}
    assert told == {SHARED, *TEAMS}
    assert family.executions(release) == ["SUCCEEDED"]
    assert family.workshop.releases.read(f"{family.key('ingested')}/1.0.0") is None


def test_a_build_whose_end_is_told_twice_has_ended_once(family: Family) -> None:
    family.stock_diamond()
    family.stack.aws.ask_spine("POST", "builds", {"duplicated": True})
    release = family.publish("core", NEXT)
    family.settled(release, State.PROMOTED)
    family.quiet()
    assert family.executions(release) == ["SUCCEEDED"]
    assert [family.builds(name) for name in ("left", "right", "app")] == [["SUCCEEDED"]] * 3


def test_a_build_whose_event_is_lost_is_looked_at_when_the_wait_is_over(family: Family) -> None:
    family.stock(core=(), left=("core",))
    with changed_machine(family.stack, waits_briefly), without_build_events(family.stack):
        release = family.publish("core", NEXT)
        family.settled(release, State.PROMOTED)
    assert family.builds("left") == ["SUCCEEDED"]


@contextmanager
def broken_policy(family: Family) -> Iterator[None]:
    family.workshop.declare_policy('{"licenses": {"allow": "MIT"}}')
    try:
        yield
    finally:
        family.workshop.forget_policy()


@contextmanager
def without_build_events(stack: Stack) -> Iterator[None]:
    events, rule = stack.aws.client("events"), stack.physical("PackagesBuildEventsRule")
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


def waits_briefly(definition: dict[str, Any]) -> None:
    """For the builds of a wave, in place of an hour."""
    definition["States"]["BuildWave"]["TimeoutSeconds"] = 3
