"""Who is told of a release, and what the message says."""

import json
import re
from typing import Any

import msgspec
import pytest

from signalbox.packages.alerts import NOBODY, Alert, alerts_of
from signalbox.packages.findings import Level, Objection
from signalbox.packages.outcomes import Outcome, settlement_of
from signalbox.packages.owners import Owners
from signalbox.packages.releases import Build, Progress, Reason, State
from tests.unit.packages.settlements import (
    ENTRIES,
    FORMS,
    KEY,
    NOON,
    OWNERS,
    PLACE,
    SHOP,
    SITE,
    UI,
    entry_of,
    owner,
    release_of,
    settlement,
    task_of,
)


def told(name: str, owners: Owners = OWNERS, trouble: str = "") -> dict[str, Alert]:
    """By owner."""
    alerts = alerts_of(settlement(name), owners, PLACE, trouble)
    by_owner = {alert.attributes["owner"]: alert for alert in alerts}
    assert len(by_owner) == len(alerts), "somebody is told twice"
    return by_owner


@pytest.mark.parametrize("name", ENTRIES)
def test_whose_version_it_is_hears_of_every_end(name: str) -> None:
    assert told(name)["team-ui"].attributes["outcome"] == settlement(name).outcome


@pytest.mark.parametrize(
    ("name", "owners"),
    [
        ("planned", {"team-ui"}),
        ("promoted", {"team-ui"}),
        ("superseded", {"team-ui"}),
        ("build-failed", {"team-ui", "team-shop"}),
        ("build-stopped", {"team-ui", NOBODY}),
        ("withdrawn", {"team-ui"}),
    ],
)
def test_of_the_others_only_those_who_must_act(name: str, owners: set[str]) -> None:
    assert set(told(name)) == owners


def test_a_try_that_is_past_is_no_news() -> None:
    entry = entry_of(release_of(round=2))
    past = settlement_of(entry, task_of(entry, round=1), NOON)
    assert (past.outcome, alerts_of(past, OWNERS, PLACE)) == (Outcome.OUTDATED, ())


def test_each_is_told_what_is_theirs() -> None:
    alerts = told("build-failed")
    assert f"team-ui owns {UI} (the version), {FORMS} (its build)." in alerts["team-ui"].message
    assert f"team-shop owns {SHOP} (its build)." in alerts["team-shop"].message


def test_the_message_is_whole() -> None:
    assert told("build-failed")["team-shop"] == Alert(
        subject="[Signalbox] Packages: failed: @acme/ui 1.1.0 (1 of yours)",
        message=f"""\
Packages: @acme/ui 1.1.0 is not promoted: dependents failed to build.

team-shop owns {SHOP} (its build).

Why:
- {SHOP}: failed, attempt 1: build rebuild-shop:0001 of rebuild-shop: BUILD: exit status 1

Waves:
- wave 1: {FORMS} failed, {SHOP} failed
- wave 2: {SITE} pending

What to do:
- Look at your builds: aws codebuild batch-get-builds --ids rebuild-shop:0001
- Mend what is wrong with them. Then try again: make releases STAGE=dev ARGS="retry {KEY} --yes"
- All that is known of it: make releases STAGE=dev ARGS="show {KEY}"

The release:
- {KEY}, round 1, try 1, revision r1
- from acme/team to acme/shared""",
        attributes={
            "domain": "packages",
            "owner": "team-shop",
            "release": KEY,
            "package": UI,
            "outcome": "failed",
            "reason": "build-failed",
        },
        chat=told("build-failed")["team-shop"].chat,
    )


def test_a_build_that_is_named_by_what_it_says_is_named_once() -> None:
    """As `signalbox.packages.builds.why` has it."""
    entry = msgspec.structs.replace(
        ENTRIES["build-failed"], troubles={SHOP: "build rebuild-shop:0001 failed in phase BUILD."}
    )
    alert = alerts_of(settlement_of(entry, task_of(entry), NOON), OWNERS, PLACE)[0]
    line = f"- {SHOP}: failed, attempt 1: build rebuild-shop:0001 failed in phase BUILD."
    assert line in alert.message.splitlines()


def test_a_build_that_was_not_begun_says_so() -> None:
    entry = ENTRIES["build-failed"]
    builds = entry.release.builds | {SHOP: Build(Progress.FAILED)}
    release = msgspec.structs.replace(entry.release, builds=builds)
    entry = msgspec.structs.replace(entry, release=release, troubles={SHOP: "no such project"})
    alert = alerts_of(settlement_of(entry, task_of(entry), NOON), OWNERS, PLACE)[0]
    assert "attempt 1: no build of rebuild-shop was begun: no such project" in alert.message


def test_whose_version_it_is_learns_whom_to_ask() -> None:
    entry = ENTRIES["build-failed"]
    owners = Owners([owner("team-ui", UI), owner("team-shop", SHOP, contact="#shop")])
    alert = alerts_of(settlement_of(entry, task_of(entry), NOON), owners, PLACE)[-1]
    assert alert.attributes["owner"] == "team-ui"
    assert f"{SHOP} (owned by team-shop, #shop): failed" in alert.message
    assert f"{FORMS} (owned by nobody): failed" in alert.message


def test_a_dry_run_says_what_would_be_done_and_how_to_have_it_done() -> None:
    alert = told("planned")["team-ui"]
    assert "would be released: a dry run" in alert.message
    assert f"- wave 1: {FORMS}, {SHOP}\n- wave 2: {SITE}\n" in alert.message
    assert f'ARGS="approve {KEY} --yes"' in alert.message


def test_what_the_policy_says_is_the_reason() -> None:
    assert "- policy, deny: license: @acme/ui 1.1.0 has the licence GPL-3.0-only" in (
        told("denied")["team-ui"].message
    )


def test_what_an_execution_failed_of_is_named_with_its_place() -> None:
    alert = told("stuck")["team-ui"]
    assert "- PlanRelease: BrokenPolicyError: expected int - at `$.rebuild`" in alert.message
    assert alert.attributes["reason"] == "BrokenPolicyError"


def test_what_nobody_owns_is_nobodys_and_says_how_to_name_one() -> None:
    alert = told("promoted", Owners())[NOBODY]
    assert f"Nobody owns {UI} (the version), so this message goes to the owner nobody." in alert.message
    assert 'ARGS="owners put OWNER FILE --yes"' in alert.message


def test_where_the_owners_cant_be_read_all_the_same_somebody_is_told() -> None:
    alerts = told("build-failed", Owners(), "broken-owners: expected `array` - at `$.packages`")
    assert set(alerts) == {NOBODY}
    message = alerts[NOBODY].message
    assert "The owners can't be read: broken-owners: expected `array` - at `$.packages`" in message
    assert "owners put OWNER" not in message


def test_the_chat_message_says_the_same() -> None:
    chat = json.loads(told("build-failed")["team-shop"].chat)
    assert chat["content"]["title"] == ":x: failed: @acme/ui 1.1.0"
    assert chat["content"]["keywords"] == ["team-shop", UI, "failed"]
    assert "exit status 1" in chat["content"]["description"]
    assert "retry" in chat["content"]["nextSteps"][1]
    metadata = chat["metadata"]
    assert (metadata["threadId"], metadata["eventType"]) == (KEY, "PackageReleaseFailed")
    assert metadata["relatedResources"] == [KEY, SHOP]
    assert metadata["additionalContext"] == {"owner": "team-shop", "release": KEY, "outcome": "failed"}


@pytest.mark.parametrize("name", ENTRIES)
def test_each_message_of_a_release_has_an_id_of_its_own_and_the_same_again(name: str) -> None:
    ids = [json.loads(alert.chat)["id"] for alert in told(name).values()]
    assert len(set(ids)) == len(ids)
    assert ids == [json.loads(alert.chat)["id"] for alert in told(name).values()]


def named(version: str, **changes: Any) -> Alert:
    """Of a version of an odd name, with odd texts."""
    release = release_of(version=f"npm//{version}/1.0.0", state=State.FAILED, reason=Reason.POLICY)
    entry = msgspec.structs.replace(entry_of(release, **changes), version="1.0.0")
    [alert] = alerts_of(settlement_of(entry, task_of(entry), NOON), Owners(), PLACE)
    return alert


@pytest.mark.parametrize("name", ["x", "x" * 255, "ünïcode-" * 20, "a\x1bb\x07c"])
def test_the_subject_is_short_and_ascii_and_on_one_line(name: str) -> None:
    subject = named(name).subject
    assert re.fullmatch(r"[ -~]{1,99}", subject)
    assert subject.endswith("1.0.0")


def test_nobody_writes_lines_of_an_alert_with_a_text() -> None:
    objection = Objection("denied", Level.DENY, "bad\n\nWhat to do:\n- run this\u2028<!channel>")
    alert = named("x", objections=(objection,))
    assert alert.message.count("What to do:\n") == 1
    assert "bad??What to do:?- run this?<!channel>" in alert.message
    assert "<!channel>" not in alert.chat


def test_of_a_thousand_builds_a_message_is_still_one_that_sns_takes() -> None:
    """256 KB, both texts and the escapes of JSON together (Publish, SNS API Reference)."""
    names = [f"npm/{'ü' * 200}/{'ü' * 240}{number:04}" for number in range(1_000)]
    release = release_of(
        state=State.FAILED,
        reason=Reason.BUILD_FAILED,
        waves=tuple((name,) for name in names),
        builds={name: Build(Progress.FAILED, 1, f"rebuild-{name[-4:]}:0001") for name in names},
    )
    objections = tuple(Objection("license", Level.WARN, '"' * 2_000) for _ in range(200))
    entry = entry_of(release, troubles=dict.fromkeys(names, "ü" * 5_000), objections=objections)
    [alert] = alerts_of(settlement_of(entry, task_of(entry), NOON), Owners(), PLACE)
    published = json.dumps({"default": alert.message, "https": alert.chat}, ensure_ascii=False)
    assert len(published.encode()) < 256 * 1024
    assert "and 970 more builds" in alert.message
    assert "and 980 more waves" in alert.message
