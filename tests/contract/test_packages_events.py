"""What CodeArtifact and CodeBuild send, what the rules let in and what the parsers take: one contract."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local import teams
from local.codeartifact.embedded import embedded_codeartifact
from local.events import Values, fill, read
from signalbox.errors import RejectedError
from signalbox.eventbridge import Scope, check_scope, parse_envelope
from signalbox.packages.builds import OUTCOMES, End, parse_end
from signalbox.packages.coordinates import Format, PackageVersion
from signalbox.packages.events import OWN_SOURCE, PARSERS, RETRY_REQUESTED, Change, Request, parse_event
from signalbox.packages.repositories import Status
from tests.template.deployed import Deployed
from tests.template.sources import ROOT, resources
from tests.template.test_rules import ACCOUNT, REGION, admitting

SAMPLES = ROOT / "events" / "packages"
FILES = sorted(path for path in SAMPLES.glob("*.json") if not path.name.endswith(".schema.json"))
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCOPE = Scope(frozenset({(ACCOUNT, REGION)}), maximum_age=900.0)
STACK = Deployed({"PackagesDomain": "acme", "PackagesSourceRepositories": "platform,apps"})
VERSIONS, BUILDS = "PackagesVersionEventsRule", "PackagesBuildEventsRule"

type Event = dict[str, Any]


def samples(path: Path) -> list[Event]:
    return fill(read(path), Values(NOON, iter(())))


def changed(name: str = "version_published", **detail: Any) -> Event:
    """A sample, with other members in its detail; None is null."""
    [event] = samples(SAMPLES / f"{name}.json")
    return {**event, "detail": {**event["detail"], **detail}}


def built(status: str = "SUCCEEDED", project: str = "rebuild-left") -> Event:
    return changed("build_succeeded", **{"build-status": status, "project-name": project})


def admitted_by(event: Event, stack: Deployed = STACK) -> list[str]:
    rules = {name: resources()[name] for name in (VERSIONS, BUILDS)}
    return admitting(event, rules, stack)


def taken(event: Event) -> Change | Request | End | None:
    """As an intake function takes it from a queue's message."""
    envelope = parse_envelope(json.dumps(event))
    check_scope(envelope, SCOPE, NOON.timestamp())
    return parse_end(envelope) if envelope.source == "aws.codebuild" else parse_event(envelope)


def test_there_are_samples() -> None:
    assert len(FILES) == 6


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_sample_file_is_let_in_and_taken(path: Path) -> None:
    rule, kind = (BUILDS, End) if path.stem.startswith("build") else (VERSIONS, Change)
    for event in samples(path):
        assert admitted_by(event) == [rule]
        assert isinstance(taken(event), kind)


def test_a_package_without_a_namespace_has_null_there() -> None:
    event = changed()
    assert event["detail"]["packageNamespace"] is None
    news = taken(event)
    assert isinstance(news, Change)
    assert news.version == PackageVersion.parse("npm", None, "core", "1.0.0")
    assert (news.domain, news.repository, news.sequence) == ("acme", "platform", 1)
    assert news.occurred_at == NOON.timestamp()


def test_a_version_that_is_published_in_steps_is_one_with_rising_numbers() -> None:
    steps = samples(SAMPLES / "version_in_steps.json")
    states = [(each["detail"]["operationType"], each["detail"]["packageVersionState"]) for each in steps]
    assert states == [("Created", "Unfinished"), ("Updated", "Unfinished"), ("Updated", "Published")]
    news = [each for each in map(taken, steps) if isinstance(each, Change)]
    assert {each.version.key for each in news} == {"maven/org.acme/paint/2.1.0"}
    assert [each.sequence for each in news] == [1, 2, 5]
    assert len({each.id for each in news}) == 3


def test_the_samples_are_of_what_the_embedded_aws_has() -> None:
    """So that they can be sent to what `make up` leaves running."""
    known = {made.package: made.repository for made in teams.STOCK}
    for name in ("version_published", "version_withdrawn"):
        news = taken(changed(name))
        assert isinstance(news, Change)
        assert known[news.version.package.key] == news.repository


@pytest.mark.parametrize("state", [*Status])
@pytest.mark.parametrize("operation", ["Created", "Updated", "Deleted"])
def test_every_change_of_a_version_is_let_in_and_taken(operation: str, state: str) -> None:
    event = changed(operationType=operation, packageVersionState=state)
    assert admitted_by(event) == [VERSIONS]
    assert isinstance(taken(event), Change)


@pytest.mark.parametrize("format_", [*Format])
def test_what_the_embedded_codeartifact_sends_is_let_in_and_taken(format_: Format) -> None:
    namespace = {"namespace": "org.acme"} if format_ in {Format.MAVEN, Format.GENERIC} else {}
    with embedded_codeartifact() as codeartifact:
        codeartifact.seed(
            {"format": str(format_), "package": "paint", "version": "1.0", **namespace}, repository="platform"
        )
        [event] = codeartifact.events()
    assert admitted_by(event) == [VERSIONS]
    assert isinstance(parse_event(parse_envelope(json.dumps(event))), Change)


@pytest.mark.parametrize("format_", ["ruby", "swift", "cargo", "a-new-one"])
def test_a_format_that_is_not_read_is_let_in_so_that_it_is_heard_of(format_: str) -> None:
    event = changed(packageFormat=format_)
    assert admitted_by(event) == [VERSIONS]
    with pytest.raises(RejectedError) as caught:
        taken(event)
    assert (caught.value.code, caught.value.where) == ("unknown-format", "$.detail.packageFormat")


@pytest.mark.parametrize("status", OUTCOMES)
def test_every_end_of_a_build_is_let_in_and_taken(status: str) -> None:
    event = built(status)
    assert admitted_by(event) == [BUILDS]
    end = taken(event)
    assert isinstance(end, End)
    assert end.outcome == OUTCOMES[status]
    assert end.id == event["detail"]["build-id"].partition(":build/")[2]


def test_a_build_that_failed_says_why_and_where_its_log_is() -> None:
    end = taken(changed("build_failed"))
    assert isinstance(end, End)
    assert "npm test" in end.why
    assert "cloudwatch" in end.why
    assert end.seconds == 70


NOT_LET_IN = {
    "of the shared repository": changed(repositoryName="shared"),
    "of another domain": changed(domainName="other"),
    "a build that runs": built("IN_PROGRESS"),
    "a build of somebody else's": built(project="deploy-left"),
    "a job's build": built(project="signalbox-test-job-rebuild-index"),
    "a phase of a build": built() | {"detail-type": "CodeBuild Build Phase Change"},
    "another event of CodeArtifact's": changed() | {"detail-type": "CodeArtifact Something Else"},
    "somebody else's version": changed() | {"source": "my.own"},
    "an operator's request": {
        **changed(),
        "source": OWN_SOURCE,
        "detail-type": RETRY_REQUESTED,
        "detail": {"release": "npm//core/1.0.0", "round": 1, "tries": 0},
    },
}


@pytest.mark.parametrize("event", NOT_LET_IN.values(), ids=NOT_LET_IN)
def test_what_the_rules_keep_out(event: Event) -> None:
    assert not admitted_by(event)


@pytest.mark.parametrize(
    "name", ["a phase of a build", "another event of CodeArtifact's", "somebody else's version"]
)
def test_what_is_no_event_of_the_domain_the_parsers_would_not_take_either(name: str) -> None:
    with pytest.raises(RejectedError) as caught:
        taken(NOT_LET_IN[name])
    assert caught.value.code == "unexpected-event"


def test_what_operators_ask_for_is_taken_from_the_queue() -> None:
    assert isinstance(taken(NOT_LET_IN["an operator's request"]), Request)


def test_there_is_an_event_for_each_parser() -> None:
    events = [changed(), NOT_LET_IN["an operator's request"]]
    assert {(event["source"], event["detail-type"]) for event in events} == set(PARSERS)


@pytest.mark.parametrize(("field", "value"), [("account", "999999999999"), ("region", "eu-west-1")])
@pytest.mark.parametrize("event", [changed(), built()], ids=["version", "build"])
def test_rules_and_scope_agree_on_whose_events_are_taken(event: Event, field: str, value: str) -> None:
    foreign = event | {field: value}
    assert not admitted_by(foreign)
    with pytest.raises(RejectedError, match=f"at `\\$.{field}`"):
        taken(foreign)
