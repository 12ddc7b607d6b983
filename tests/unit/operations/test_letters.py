"""What is said of a letter in a dead-letter queue, and how letters are parcelled."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.letters import (
    BATCH_BYTES,
    BATCH_ENTRIES,
    Letter,
    Terms,
    batches,
    judge,
    judge_run,
    rule_name,
)
from signalbox.clock import iso

NOW = 1_800_000_000.0
TERMS = Terms(now=NOW, maximum_age=900.0)


def event(age: float = 60.0, **members: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "0b2a3f8e-5d0e-4c8e-9c57-0c7a3a0f1d11",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "account": "123456789012",
        "time": iso(NOW - age),
        "region": "us-east-1",
        "resources": [],
        "detail": {"instance-id": "i-1", "instance-action": "terminate"},
    } | members


def letter(body: str, id_: str = "m-1") -> Letter:
    return Letter(id=id_, receipt="r", body=body, sent_at=NOW - 30)


@pytest.mark.parametrize(
    ("age", "since", "prospect"),
    [
        (60, 0, "handled"),
        (900, 0, "handled"),
        (901, 0, "stale"),
        (60, NOW - 60, "handled"),
        (61, NOW - 60, "passed over"),
        (7_200, NOW - 3_600, "passed over"),
    ],
)
def test_an_event_is_judged_by_its_age(age: float, since: float, prospect: str) -> None:
    found = judge(letter(json.dumps(event(age))), Terms(NOW, 900.0, since))
    assert (found.prospect, found.age) == (prospect, age)
    assert found.what == "EC2 Spot Instance Interruption Warning i-1"
    assert found.wanted == (prospect != "passed over")


@pytest.mark.parametrize(
    ("detail", "what"),
    [
        ({"EC2InstanceId": "i-2"}, "AWS Health Event i-2"),
        ({"bucket": {"name": "b"}, "object": {"key": "a b.pdf"}}, "AWS Health Event s3://b/a b.pdf"),
        ({"build-id": "arn:…:build/p:1"}, "AWS Health Event arn:…:build/p:1"),
        ({"release": "npm/acme/ui/1.0.0"}, "AWS Health Event npm/acme/ui/1.0.0"),
        (
            {
                "packageFormat": "pypi",
                "packageNamespace": None,
                "packageName": "requests",
                "packageVersion": "2.0",
            },
            "AWS Health Event pypi//requests/2.0",
        ),
        ({"bucket": "b"}, "AWS Health Event 0b2a3f8e-5d0e-4c8e-9c57-0c7a3a0f1d11"),
        ({}, "AWS Health Event 0b2a3f8e-5d0e-4c8e-9c57-0c7a3a0f1d11"),
    ],
)
def test_an_event_is_named_by_what_it_is_about_or_else_by_its_id(
    detail: dict[str, object], what: str
) -> None:
    body = json.dumps(event() | {"detail-type": "AWS Health Event", "detail": detail})
    assert judge(letter(body), TERMS).what == what


@pytest.mark.parametrize("body", ["", "no JSON", "[]", json.dumps(event(time="yesterday"))])
def test_what_is_no_event_is_left_where_it_is_with_the_reason(body: str) -> None:
    found = judge(letter(body), TERMS)
    assert (found.prospect, found.wanted, found.age) == ("unreadable", False, None)
    assert found.what


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (
            json.dumps(
                {
                    "version": "1.0",
                    "requestContext": {"condition": "RetriesExhausted"},
                    "requestPayload": {},
                    "responsePayload": {"errorType": "UnavailableError", "errorMessage": "no answer"},
                }
            ),
            "UnavailableError: no answer",
        ),
        (json.dumps({"requestContext": {"condition": "EventAgeExceeded"}}), "EventAgeExceeded"),
        (json.dumps(event()), "a run that failed"),
        ("no JSON", "a run that was not delivered"),
    ],
)
def test_a_failed_run_says_what_it_can(body: str, what: str) -> None:
    found = judge_run(letter(body))
    assert (found.prospect, found.what, found.wanted) == ("discarded", what, True)


@given(st.lists(st.text(max_size=200).map(lambda text: text * 1_500), max_size=40))
def test_batches_hold_all_in_order_and_what_sqs_takes(bodies: list[str]) -> None:
    letters = [letter(body, f"m-{n}") for n, body in enumerate(bodies)]
    made = list(batches(letters))
    assert [each for batch in made for each in batch] == letters
    for batch in made:
        assert 1 <= len(batch) <= BATCH_ENTRIES
        assert len(batch) == 1 or sum(len(each.body.encode()) for each in batch) <= BATCH_BYTES
    # None could have been joined with the one after it.
    for one, other in pairwise(made):
        joined = [*one, other[0]]
        size = sum(len(each.body.encode()) for each in joined)
        assert len(joined) > BATCH_ENTRIES or size > BATCH_BYTES


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:events:us-east-1:123456789012:rule/warnings", "warnings"),
        ("arn:aws:events:us-east-1:123456789012:rule/own-bus/warnings", "warnings"),
        ("", ""),
    ],
)
def test_a_rule_is_named_without_its_bus(arn: str, name: str) -> None:
    assert rule_name(arn) == name
