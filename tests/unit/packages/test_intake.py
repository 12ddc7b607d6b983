"""The intake: every message accounted for, one execution for each version that is quiet."""

import msgspec
import pytest

from signalbox.clock import iso
from signalbox.errors import AccessDeniedError, SignalboxError, ThrottledError, UnavailableError
from signalbox.packages import dependents
from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Dependency
from signalbox.packages.entries import Entry, Releases, Waiting
from signalbox.packages.findings import Finding, Level
from signalbox.packages.intake import START_SECONDS, Admission
from signalbox.packages.releases import (
    Event,
    Judged,
    Planned,
    PromotionClaimed,
    PromotionRefused,
    Reason,
    State,
)
from signalbox.packages.repositories import Status
from tests.unit.packages.fake_codeartifact import NOON, TEAM, version_event, version_of
from tests.unit.packages.intake_stack import MAXIMUM_RECEIVES, QUIET, Stack, requested

UI, CORE = version_of("npm/acme/ui/1.4.2"), version_of("npm/acme/core/2.0.0")
NEWER, OTHER_LINE = PackageVersion(UI.package, "1.4.3"), PackageVersion(UI.package, "2.0.0")
ON_CORE = Dependency(CORE.package.key, "^2.0.0")
WHEEL = version_of("pypi//acme-core/2.0.0")


@pytest.fixture
def stack() -> Stack:
    return Stack()


def tell(stack: Stack, version: PackageVersion, *events: Event) -> Entry:
    """What the workflow has said of a release."""
    releases = Releases(stack.ledger)
    for event in events:
        releases.advance(version.key, event)
    return releases.known(version.key)


def wait_for_builds(stack: Stack, version: PackageVersion) -> Waiting:
    """Its execution waits for the builds of its first wave."""
    tell(stack, version, Judged(1, Level.ALLOW), Planned(1, (("npm/acme/app",),), Level.ALLOW))
    waiting = Waiting(token=version.key, round=1, tries=0, wave=0)
    Releases(stack.ledger).change(
        version.key, lambda known: known and msgspec.structs.replace(known, waiting=waiting)
    )
    stack.tokens.waiting.add(waiting.token)
    return waiting


# One version


def test_a_version_is_noted_at_once_and_released_when_it_has_been_quiet(stack: Stack) -> None:
    stack.codeartifact.publish(UI, dependencies=[ON_CORE])
    stack.clock.now += 7
    stack.deliver()
    admission = stack.batch()
    assert (admission.admitted, admission.indexed, admission.begun) == (1, 1, 0)
    assert (admission.oldest, admission.waits, admission.returned) == (7, {"m1": QUIET}, ())
    assert stack.index.read().dependents(CORE.package.key)[0].dependent == UI.package.key
    stack.clock.now += QUIET
    again = stack.batch()
    assert (again.admitted, again.echoed, again.begun, again.waits) == (0, 0, 1, {})
    release = stack.entry(UI).release
    assert stack.executions.begun == {
        release.execution: {"release": UI.key, "round": 1, "tries": 0, "next": "inspect"}
    }


def test_the_release_says_what_was_published_and_where(stack: Stack) -> None:
    published = stack.codeartifact.publish(UI)
    stack.run()
    entry = stack.entry(UI)
    assert (entry.version, entry.repository) == (UI.version, TEAM)
    assert (entry.release.revision, entry.release.acts) == (published.revision, False)
    assert (entry.published_at, entry.changed_at) == (NOON, NOON)


def test_releases_act_where_the_stack_does() -> None:
    stack = Stack(acts=True)
    stack.codeartifact.publish(UI)
    stack.run()
    assert stack.entry(UI).release.acts


def test_a_wheel_after_the_source_distribution_is_one_release() -> None:
    """Known from the field: PyPI publishes a version in several events, and half of it is built."""
    stack = Stack()
    for content in ("sdist", "sdist, wheel"):
        last = stack.codeartifact.publish(WHEEL, content=content)
        stack.deliver()
        stack.batch()
        stack.clock.now += QUIET - 1
    stack.run()
    assert len(stack.executions.begun) == 1
    [begun] = stack.executions.begun.values()
    release = stack.entry(WHEEL).release
    assert release.revision == last.revision
    assert (begun["round"], release.round) == (2, 2)


def test_of_two_files_in_one_batch_only_the_last_is_looked_at(stack: Stack) -> None:
    stack.codeartifact.publish(WHEEL, content="sdist")
    stack.codeartifact.publish(WHEEL, content="sdist, wheel")
    stack.deliver()
    admission = stack.batch()
    assert (admission.admitted, admission.reasons) == (1, {"stale": 1})
    assert stack.codeartifact.calls["describe"] == 1
    stack.run()
    assert stack.entry(WHEEL).release.round == 1
    assert stack.executions.asked == 1


def test_maven_is_waited_for_while_it_is_unfinished(stack: Stack) -> None:
    """Known from the field: Maven's files are Unfinished until the last of them is there."""
    jar = version_of("maven/org.acme/core/1.4")
    for content in ("pom", "pom, jar"):
        stack.codeartifact.publish(jar, content=content, status=Status.UNFINISHED)
        stack.deliver()
        assert stack.batch().reasons == {"unfinished": 1}
    assert Releases(stack.ledger).read(jar.key) is None
    stack.codeartifact.publish(jar, content="pom, jar")
    stack.run()
    assert stack.executions.asked == 1
    assert stack.entry(jar).release.round == 1


def test_an_event_that_comes_twice_is_one_release(stack: Stack) -> None:
    """Known from the field: EventBridge delivers at least once, and each message starts a pipeline."""
    stack.codeartifact.publish(UI)
    event = stack.codeartifact.events[0]
    assert stack.take(event, event).reasons == {"duplicate": 1}
    stack.run()
    stack.take(event)
    assert len(stack.executions.begun) == 1
    assert stack.codeartifact.calls["versions"] == 1


def test_a_duplicate_of_what_is_under_way_asks_aws_nothing(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    tell(stack, UI, Judged(1, Level.ALLOW))
    stack.codeartifact.calls.clear()
    assert stack.take(stack.codeartifact.events[0]).reasons == {"duplicate": 1}
    assert (stack.codeartifact.calls.total(), stack.executions.asked) == (0, 1)


def test_the_only_message_may_come_back_from_the_dead_letter_queue(stack: Stack) -> None:
    """A redrive makes another message of it, which is no reason to take it for a duplicate."""
    stack.codeartifact.publish(UI)
    event = stack.codeartifact.events[0]
    stack.take(event)
    stack.queue.delete(["m1"])
    stack.clock.now += 3_600
    stack.send(event)
    stack.run_queue()
    assert stack.executions.asked == 1


def test_a_late_event_changes_nothing(stack: Stack) -> None:
    stack.codeartifact.publish(UI, content="old")
    stack.codeartifact.publish(UI, content="new", dependencies=[ON_CORE])
    late, newest = stack.codeartifact.events
    stack.take(newest)
    before = stack.entry(UI)
    admission = stack.take(late)
    assert admission.reasons == {"stale": 1}
    assert stack.entry(UI) == before


def test_what_changes_while_it_is_quiet_is_waited_for(stack: Stack) -> None:
    """Its event is on its way: the execution would only find another revision."""
    stack.codeartifact.publish(UI, content="old")
    stack.deliver()
    stack.batch()
    stack.codeartifact.publish(UI, content="new")
    stack.clock.now += QUIET
    assert stack.batch().waits == {"m1": QUIET}
    assert stack.executions.asked == 0
    stack.run()
    assert stack.executions.asked == 1


def test_another_file_while_it_is_built_begins_another_round(stack: Stack) -> None:
    stack = Stack(acts=True)
    stack.codeartifact.publish(WHEEL, content="sdist")
    stack.run()
    wait_for_builds(stack, WHEEL)
    stack.codeartifact.publish(WHEEL, content="sdist, wheel")
    stack.run()
    release = stack.entry(WHEEL).release
    assert (release.round, release.state) == (2, State.WAITING)
    assert stack.tokens.answered[WHEEL.key]["next"] == "settle"
    assert stack.entry(WHEEL).waiting is None
    assert release.execution in stack.executions.begun


def test_what_is_published_during_a_promotion_has_its_round_after_it() -> None:
    """The message waits: nobody knows yet whether the promotion comes to anything."""
    stack = Stack(acts=True)
    stack.codeartifact.publish(UI, content="old")
    stack.run()
    tell(stack, UI, Judged(1, Level.ALLOW), Planned(1, (), Level.ALLOW), PromotionClaimed(1, NOON, NOON + 45))
    new = stack.codeartifact.publish(UI, content="new")
    stack.deliver()
    assert stack.batch().waits == {"m2": QUIET}
    tell(stack, UI, PromotionRefused(1, NOON + 45, new.revision))
    stack.run()
    assert stack.entry(UI).release.execution in stack.executions.begun
    assert len(stack.executions.begun) == 2


# What is withdrawn


def test_what_was_withdrawn_before_it_was_quiet_is_not_released(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.deliver()
    stack.batch()
    stack.codeartifact.set_status(UI, Status.UNLISTED)
    stack.run()
    assert stack.executions.asked == 0
    assert stack.entry(UI).release.reason is Reason.WITHDRAWN
    assert stack.index.read().entries[UI.package.key].version is None


def test_a_deletion_that_comes_first_is_known_to_what_was_told_before(stack: Stack) -> None:
    """Known from the field: events out of order bring back what was deleted."""
    stack.codeartifact.publish(UI)
    stack.codeartifact.delete(UI)
    published, deleted = stack.codeartifact.events
    stack.take(deleted)
    assert stack.take(published).reasons == {"stale": 1}
    stack.run()
    assert stack.executions.asked == 0
    assert stack.entry(UI).release.state is State.STOPPED


def test_what_is_withdrawn_while_it_is_built_is_let_go(stack: Stack) -> None:
    stack = Stack(acts=True)
    stack.codeartifact.publish(UI)
    stack.run()
    wait_for_builds(stack, UI)
    stack.codeartifact.delete(UI)
    stack.run()
    assert stack.tokens.answered == {UI.key: {"release": UI.key, "round": 1, "tries": 0, "next": "settle"}}


def test_what_was_deleted_and_is_kept_of_an_upstream_since_is_withdrawn(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    stack.codeartifact.publish(UI, repository="shared")
    stack.codeartifact.delete(UI)
    stack.codeartifact.retain(UI, "shared")
    stack.run()
    assert stack.entry(UI).release.reason is Reason.WITHDRAWN
    assert stack.index.read().entries[UI.package.key].version is None


def test_what_comes_back_begins_another_round(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    stack.codeartifact.set_status(UI, Status.ARCHIVED)
    stack.run()
    stack.codeartifact.set_status(UI, Status.PUBLISHED)
    stack.run()
    assert stack.entry(UI).release.round == 2
    assert len(stack.executions.begun) == 2


# Whose versions these are


def test_what_our_own_promotion_causes_is_ignored() -> None:
    """Known from the field: a promotion whose event starts another promotion."""
    stack = Stack("team", "platform")
    stack.codeartifact.publish(UI)
    stack.run()
    revision = stack.entry(UI).release.revision
    stack.codeartifact.copy(UI, revision, "team", "shared")
    stack.codeartifact.retain(UI, "shared", "platform")
    in_shared = stack.codeartifact.events[1]
    assert stack.take(in_shared).reasons == {"not-a-source": 1}
    stack.codeartifact.calls.clear()
    stack.send(stack.codeartifact.events[2])
    assert stack.batch().reasons == {"published-elsewhere": 1}
    assert stack.codeartifact.calls.total() == 0
    assert len(stack.executions.begun) == 1


def test_what_is_kept_of_an_upstream_is_ignored(stack: Stack) -> None:
    stack.codeartifact.publish(CORE, repository="shared")
    stack.codeartifact.retain(CORE, "shared")
    stack.deliver()
    assert stack.batch().reasons == {"entered-elsewhere": 1}
    assert stack.index.read().entries == {}
    assert Releases(stack.ledger).read(CORE.key) is None


def test_what_comes_from_outside_is_ignored_unless_it_is_asked_for() -> None:
    react = version_of("npm//react/19.0.0")
    for external in (False, True):
        stack = Stack(external=external)
        stack.codeartifact.publish(react, external=True)
        stack.run()
        assert len(stack.executions.begun) == external
        assert stack.index.read().entries == {}


def test_the_first_repository_that_has_a_package_speaks_for_it() -> None:
    """Known from the field: another team publishes under a name that is taken."""
    stack = Stack("team", "platform")
    stack.codeartifact.publish(UI, repository="team")
    stack.run()
    stack.codeartifact.publish(NEWER, repository="platform")
    stack.deliver()
    assert stack.batch().reasons == {"published-elsewhere": 1}
    assert stack.index.read().entries[UI.package.key].version == UI.version


def test_a_package_may_move_to_another_repository() -> None:
    """Known from the field: each repository numbers the events of a package by itself."""
    stack = Stack("team", "platform")
    for content in "abcdefgh":
        stack.codeartifact.publish(UI, repository="platform", content=content)
    stack.run()
    stack.codeartifact.delete(UI, "platform")
    stack.run()
    stack.clock.now += 1
    stack.codeartifact.publish(UI, repository="team", dependencies=[ON_CORE])
    stack.run()
    entry = stack.entry(UI)
    assert (entry.repository, entry.release.state) == ("team", State.WAITING)
    assert entry.release.execution in stack.executions.begun
    assert len(stack.executions.begun) == 2
    assert stack.index.read().entries[UI.package.key].dependencies == (ON_CORE,)


def test_a_copy_that_is_deleted_stops_nobodys_release() -> None:
    stack = Stack("team", "platform")
    stack.codeartifact.publish(UI, repository="platform")
    stack.codeartifact.retain(UI, "platform", "team")
    stack.run()
    stack.codeartifact.delete(UI, "team")
    stack.run()
    assert stack.entry(UI).release.state is State.WAITING
    assert stack.index.read().entries[UI.package.key].version == UI.version


# Versions of one package


def test_a_newer_version_of_the_line_takes_the_place_of_what_is_under_way() -> None:
    stack = Stack(acts=True)
    stack.codeartifact.publish(UI)
    stack.run()
    wait_for_builds(stack, UI)
    stack.clock.now += 10
    stack.codeartifact.publish(NEWER)
    stack.run()
    older = stack.entry(UI).release
    assert (older.state, older.by) == (State.SUPERSEDED, NEWER.key)
    assert stack.tokens.answered[UI.key]["next"] == "settle"
    assert stack.entry(NEWER).release.execution in stack.executions.begun


def test_another_line_leaves_it_alone(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.clock.now += 10
    stack.codeartifact.publish(OTHER_LINE)
    stack.run()
    assert len(stack.executions.begun) == 2


def test_an_older_version_that_is_told_of_later_makes_way_before_it_begins(stack: Stack) -> None:
    """Known from the field: events out of order release the older version last."""
    stack.codeartifact.publish(UI)
    stack.clock.now += 1
    stack.codeartifact.publish(NEWER)
    older, newer = stack.codeartifact.events
    stack.take(newer)
    stack.take(older)
    stack.run()
    assert stack.entry(UI).release.state is State.SUPERSEDED
    assert list(stack.executions.begun) == [stack.entry(NEWER).release.execution]


def test_an_older_version_that_is_published_later_is_released(stack: Stack) -> None:
    """A fix of what some stay with."""
    stack.codeartifact.publish(NEWER)
    stack.clock.now += 10
    stack.codeartifact.publish(UI)
    stack.run()
    assert len(stack.executions.begun) == 2


def test_the_index_keeps_the_newest_whatever_comes_last(stack: Stack) -> None:
    stack.codeartifact.publish(OTHER_LINE, dependencies=[ON_CORE])
    stack.clock.now += 10
    stack.codeartifact.publish(NEWER)
    stack.run()
    entry = stack.index.read().entries[UI.package.key]
    assert (entry.version, entry.dependencies) == ("2.0.0", (ON_CORE,))


def test_versions_that_are_over_are_forgotten(stack: Stack) -> None:
    for minor in range(30):
        stack.codeartifact.publish(PackageVersion(UI.package, f"1.{minor}.0"))
        stack.clock.now += 1
        stack.run()
    assert Releases(stack.ledger).versions(UI.package.key) == ("npm/acme/ui/1.29.0",)


def test_a_package_of_10_000_versions() -> None:
    stack = Stack()
    for number in range(10_000):
        stack.codeartifact.publish(PackageVersion(UI.package, f"1.0.{number}"))
        stack.clock.now += 1
    last = stack.codeartifact.events[-1]
    stack.take(last)
    stack.run_queue()
    assert stack.index.read().entries[UI.package.key].version == "1.0.9999"
    assert stack.executions.asked == 1


def test_findings_are_told_and_hold_up_nothing(stack: Stack) -> None:
    odd = Finding("malformed-dependency", UI.package.key, "no name")
    stack.codeartifact.publish(UI, findings=[odd])
    stack.codeartifact.publish(PackageVersion(CORE.package, "two"))
    stack.deliver()
    findings = stack.batch().findings
    assert {each.code for each in findings} == {"malformed-dependency", "unparsable-version"}
    stack.run()
    assert stack.executions.asked == 2


# Calls


def test_calls_for_an_event_are_few(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.deliver()
    stack.batch()
    assert stack.codeartifact.calls == {"describe": 1, "versions": 1, "dependencies": 1}
    stack.run()
    assert stack.codeartifact.calls == {"describe": 2, "versions": 1, "dependencies": 1}
    assert stack.executions.asked == 1


def test_what_is_ignored_costs_one_call(stack: Stack) -> None:
    stack.codeartifact.publish(UI, external=True)
    stack.run()
    assert stack.codeartifact.calls == {"describe": 1}


# What goes wrong


@pytest.mark.parametrize(
    ("event", "code", "where"),
    [
        (version_event(UI) | {"account": "999999999999"}, "foreign-account", "$.account"),
        (version_event(UI) | {"detail": {}}, "malformed", "$.detail"),
        (version_event(UI) | {"time": iso(NOON + 3_600)}, "from-future", "$.time"),
        (requested(UI), "unknown-release", "$.detail.release"),
    ],
)
def test_bad_input_is_kept_with_its_place(
    stack: Stack, event: dict[str, object], code: str, where: str
) -> None:
    [rejection] = stack.take(event).rejections
    assert (rejection.code, rejection.where) == (code, where)
    assert stack.ledger.rejections("packages", iso(NOON)[:10]) == [rejection]
    assert stack.queue.next_at is None


@pytest.mark.parametrize("part", [{"domainName": "other"}, {"domainOwner": "999999999999"}])
def test_another_domain_is_refused(stack: Stack, part: dict[str, str]) -> None:
    event = version_event(UI)
    [rejection] = stack.take(event | {"detail": event["detail"] | part}).rejections
    assert (rejection.code, rejection.where) == ("foreign-domain", "$.detail.domainName")


def test_an_unknown_format_is_refused_with_its_place(stack: Stack) -> None:
    event = version_event(UI)
    [rejection] = stack.take(event | {"detail": event["detail"] | {"packageFormat": "cargo"}}).rejections
    assert (rejection.code, rejection.where) == ("unknown-format", "$.detail.packageFormat")
    assert "npm, pypi, maven, nuget, generic" in rejection.what


def test_one_bad_message_never_holds_up_the_rest(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.codeartifact.publish(CORE)
    stack.codeartifact.failing["describe"] = [ThrottledError("DescribePackageVersion: 429")]
    ui, core = stack.codeartifact.events
    admission = stack.take("no json", version_event(UI) | {"detail": {}}, ui, core)
    assert (len(admission.rejections), admission.admitted) == (1, 1)
    assert len(admission.returned) == 2
    stack.run()
    assert len(stack.executions.begun) == 2
    assert stack.queue.dead == ["no json"]


@pytest.mark.parametrize("operation", ["describe", "versions", "dependencies"])
@pytest.mark.parametrize(
    "error", [ThrottledError("429"), UnavailableError("no answer"), AccessDeniedError("no")]
)
def test_what_aws_does_not_answer_is_asked_again(stack: Stack, operation: str, error: SignalboxError) -> None:
    stack.codeartifact.publish(UI)
    stack.codeartifact.failing[operation] = [error]
    stack.deliver()
    admission = stack.batch()
    assert admission.returned == ("m1",)
    assert admission.errors == (f"{error.code}: {error}",)
    assert 5 <= admission.waits["m1"] <= 10
    stack.run()
    assert stack.executions.asked == 1


def test_an_execution_that_can_not_be_started_is_started_later(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.executions.failing = [UnavailableError("Step Functions")]
    stack.run()
    assert len(stack.executions.begun) == 1


def test_a_full_index_holds_the_release_back_and_is_named(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is promoted by an index that lacks somebody."""
    monkeypatch.setattr(dependents, "MAXIMUM_BYTES", 10)
    stack.codeartifact.publish(UI)
    stack.deliver()
    assert "index-full" in stack.batch().errors[0]
    stack.run()
    assert stack.executions.asked == 0
    assert len(stack.queue.dead) == 1


def test_a_message_that_can_not_be_sent_back_comes_when_the_queue_says_so(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.queue.failing = [ThrottledError("SQS")]
    stack.deliver()
    assert stack.batch().errors == ("SQS",)
    stack.run()
    assert stack.executions.asked == 1


def test_what_there_is_no_time_for_comes_again(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.codeartifact.publish(CORE)
    stack.deliver()
    describe = stack.codeartifact.describe

    def slowly(*asked: object) -> object:
        stack.clock.now += START_SECONDS + 1
        return describe(*asked)  # type: ignore[arg-type] # as it came

    stack.codeartifact.describe = slowly  # type: ignore[assignment,method-assign] # takes its time
    admission = stack.batch()
    assert (admission.admitted, len(admission.returned)) == (1, 1)
    assert admission.errors == ("there was no time left for it",)


# Another try


def test_a_retry_begins_an_execution_of_its_own(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    tell(stack, UI, Judged(1, Level.ALLOW))
    admission = stack.take(requested(UI))
    assert (admission.admitted, admission.begun) == (1, 1)
    release = stack.entry(UI).release
    assert stack.executions.begun[release.execution] == {
        "release": UI.key,
        "round": 1,
        "tries": 1,
        "next": "plan",
    }
    assert stack.take(requested(UI)) == Admission(admitted=1, begun=1, oldest=admission.oldest)
    assert len(stack.executions.begun) == 2


def test_an_approval_has_a_dry_run_act(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    tell(stack, UI, Judged(1, Level.ALLOW), Planned(1, (("npm/acme/app",),), Level.ALLOW))
    stack.take(requested(UI, acts=True))
    release = stack.entry(UI).release
    assert release.acts
    assert stack.executions.begun[release.execution]["next"] == "build"


def test_a_retry_after_the_policy_is_another_round(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    tell(stack, UI, Judged(1, Level.DENY))
    stack.take(requested(UI))
    release = stack.entry(UI).release
    assert (release.round, release.tries) == (2, 0)
    assert stack.executions.begun[release.execution]["next"] == "inspect"


def test_a_retry_of_what_is_withdrawn_is_refused(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    stack.codeartifact.delete(UI)
    stack.run()
    [rejection] = stack.take(requested(UI)).rejections
    assert (rejection.code, rejection.where) == ("nothing-to-retry", "$.detail.release")
    assert "stopped" in rejection.what


def test_a_retry_that_was_asked_for_long_ago_is_passed_over(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.run()
    for tries in range(3):
        stack.take(requested(UI, tries=tries))
    assert stack.take(requested(UI, tries=0)).reasons == {"stale": 1}


def test_a_message_is_given_up_after_so_many_tries(stack: Stack) -> None:
    stack.codeartifact.publish(UI)
    stack.codeartifact.failing["describe"] = [UnavailableError("no answer")] * MAXIMUM_RECEIVES
    stack.run()
    assert len(stack.queue.dead) == 1
    assert stack.executions.asked == 0
