"""What S3 and CloudTrail send, what the rules let in and what the parser takes: one contract."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.events import Values, fill, read
from signalbox.documents.events import CALLS, PARSERS, parse_event
from signalbox.documents.objects import ObjectEvent
from signalbox.errors import RejectedError
from signalbox.eventbridge import Scope, check_scope, parse_envelope
from tests.template.deployed import Deployed
from tests.template.sources import ROOT, resources
from tests.template.test_rules import admitting
from tests.unit.documents.doubles import NOON
from tests.unit.documents.s3_events import (
    ACCOUNT,
    BUCKET,
    KEYS,
    REGION,
    SCOPE,
    called,
    called_for_many,
    created,
    deleted,
    envelope,
    found,
)

FILES = sorted(
    path for path in (ROOT / "events" / "documents").glob("*.json") if not path.name.endswith(".schema.json")
)
STACK = Deployed(
    {
        "DocumentsExistingBuckets": f"{BUCKET},another-one",
        "DocumentsBucketPrefix": "team-",
        "DocumentsCloudTrailEvents": "true",
    }
)
WITHOUT_CALLS = Deployed({"DocumentsExistingBuckets": BUCKET})
FORMS: dict[str, Callable[[str], dict[str, Any]]] = {
    "created": created,
    "deleted": deleted,
    "a call that creates": lambda key: called("PutObject", key),
    "a call that deletes": lambda key: called("DeleteObject", key),
}


def admitted_by(event: dict[str, Any], stack: Deployed = STACK) -> list[str]:
    """The rules into the intake queue, in a stack with these parameters."""
    rules = {
        name: rule
        for name, rule in resources("AWS::Events::Rule").items()
        if any(target["Id"] == "DocumentsIntakeQueue" for target in rule["Properties"]["Targets"])
        and stack.exists(name)
    }
    return admitting(event, rules, stack)


def taken(event: dict[str, Any], scope: Scope = SCOPE) -> tuple[ObjectEvent, ...]:
    """As the intake function takes it from a queue's message."""
    parsed = parse_envelope(json.dumps(event))
    check_scope(parsed, scope, NOON)
    return parse_event(parsed)


def test_there_are_samples() -> None:
    assert len(FILES) == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
def test_every_sample_file_is_let_in_and_taken(path: Path) -> None:
    given = {"bucket": BUCKET}
    for event in fill(read(path), Values(datetime.fromtimestamp(NOON, UTC), iter(()), given)):
        assert len(admitted_by(event)) == 1
        [news] = taken(event)
        assert (news.bucket, news.key) == (BUCKET, "report.pdf")
        assert news.cause == path.stem.split("_")[1]
        assert news.way == ("cloudtrail" if "call" in path.stem else "native")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_every_key_is_let_in_and_taken_as_it_is(form: str, key: str) -> None:
    event = FORMS[form](key)
    assert len(admitted_by(event)) == 1
    assert [news.key for news in taken(event)] == [key]


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"POST Object"}))
def test_every_call_is_let_in_and_taken(name: str) -> None:
    assert admitted_by(called(name)) == ["DocumentsObjectCallsRule"]
    assert taken(called(name))


def test_a_deletion_of_many_is_let_in_so_that_it_is_heard_of() -> None:
    assert admitted_by(called_for_many()) == ["DocumentsObjectCallsRule"]
    with pytest.raises(RejectedError, match="DeleteObjects"):
        taken(called_for_many())


def in_bucket(name: str, event: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(event)
    replaced: dict[str, Any] = json.loads(text.replace(BUCKET, name))
    return replaced


@pytest.mark.parametrize("form", FORMS)
def test_whose_buckets_are_let_in(form: str) -> None:
    event = FORMS[form]("a.pdf")
    assert admitted_by(in_bucket("DocumentsBucket", event))  # the name that the template's own goes by here
    assert admitted_by(in_bucket("another-one", event))
    assert admitted_by(in_bucket("team-made-later", event))
    assert not admitted_by(in_bucket("teams", event))
    assert not admitted_by(in_bucket("somebody-elses", event))


def test_calls_are_let_in_where_they_are_asked_for() -> None:
    assert admitted_by(created(), WITHOUT_CALLS)
    assert not admitted_by(called(), WITHOUT_CALLS)


NOT_TAKEN = {
    "tags": envelope("aws.s3", "Object Tags Added", created()["detail"]),
    "an ACL": envelope("aws.s3", "Object ACL Updated", created()["detail"]),
    "a restore": envelope("aws.s3", "Object Restore Completed", created()["detail"]),
    "a storage class": envelope("aws.s3", "Object Storage Class Changed", created()["detail"]),
    "somebody else's": envelope("my.own", "Object Created", created()["detail"]),
    "a call that reads": called("GetObject"),
    "a call on a bucket": called("PutBucketTagging"),
    "a part of an upload": called("UploadPart"),
    "a directory bucket's call": called(eventSource="s3express.amazonaws.com"),
}


@pytest.mark.parametrize("event", NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_the_rules_keep_out_the_parser_would_not_take_either(event: dict[str, Any]) -> None:
    assert not admitted_by(event)
    with pytest.raises(RejectedError) as caught:
        taken(event)
    assert caught.value.code == "unexpected-event"


def test_what_the_backfill_sends_comes_by_no_rule() -> None:
    assert not admitted_by(found())
    assert taken(found())


def test_there_is_a_form_for_each_parser() -> None:
    forms = [*(form("a") for form in FORMS.values()), found()]
    assert {(event["source"], event["detail-type"]) for event in forms} == set(PARSERS)


@pytest.mark.parametrize(("field", "value"), [("account", "999999999999"), ("region", "eu-west-1")])
@pytest.mark.parametrize("form", FORMS)
def test_rules_and_scope_agree_on_whose_events_are_taken(form: str, field: str, value: str) -> None:
    event = FORMS[form]("a.pdf") | {field: value}
    assert not admitted_by(event)
    with pytest.raises(RejectedError, match=f"at `\\$.{field}`"):
        taken(event)


def test_rules_and_settings_are_of_one_place() -> None:
    assert SCOPE.places == {(ACCOUNT, REGION)}
