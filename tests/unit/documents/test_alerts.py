"""What a person is told of a document that failed for good."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.alerts import WHAT_TO_DO, Alert, Quarantine, Settlement, alert_of
from signalbox.documents.models import QUARANTINED, Outcome
from tests.unit.documents.doubles import NOON, WORK_BUCKET, document, found

SUBJECT = re.compile(r"[ -~]{1,99}")
"""What SNS takes for one ("Publish", SNS API Reference)."""


def settlement(outcome: Outcome = Outcome.ENCRYPTED, **changes: Any) -> Settlement:
    fields: dict[str, Any] = {
        "document": document(),
        "route": "reports",
        "outcome": outcome,
        "reason": "password-needed",
        "detail": "It opens with a password only.",
        "found": found(),
        "settled_at": NOON,
        "bucket": WORK_BUCKET,
        "quarantine": Quarantine(reason="quarantine/b/0/1/reason.json", object="quarantine/b/0/1/object"),
    }
    return Settlement(**fields | changes)


def alert(of: Settlement) -> Alert:
    found = alert_of(of)
    assert found is not None
    return found


def test_it_says_what_where_why_and_what_to_do() -> None:
    told = alert(settlement())
    assert told.subject == "[Signalbox] Documents: ENCRYPTED: reports/2026/march.pdf"
    assert told.message.splitlines() == [
        "Documents: s3://uploads/reports/2026/march.pdf is ENCRYPTED (password-needed).",
        "It opens with a password only.",
        "",
        "Route: reports",
        f"Document: {document().id}, generation {document().generation}",
        "Version: version-1, 48,213 bytes, application/pdf",
        "Why, for programs: s3://work/quarantine/b/0/1/reason.json",
        "Copy: s3://work/quarantine/b/0/1/object",
        "",
        "Upload it without a password.",
        "What is uploaded again is looked at again. Where the object itself may stay as it is:",
        'make backfill STAGE=... ARGS="s3://uploads/<its key> --yes"',
    ]


def test_subscriptions_can_filter() -> None:
    assert alert(settlement()).attributes == {
        "domain": "documents",
        "outcome": "ENCRYPTED",
        "reason": "password-needed",
        "bucket": "uploads",
        "route": "reports",
    }


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - QUARANTINED))
def test_nobody_is_told_of_what_needs_nobody(outcome: Outcome) -> None:
    assert alert_of(settlement(outcome)) is None


@pytest.mark.parametrize("outcome", sorted(QUARANTINED))
def test_each_has_something_to_do(outcome: Outcome) -> None:
    assert WHAT_TO_DO[outcome] in alert(settlement(outcome)).message


def test_where_no_copy_was_kept_it_says_why() -> None:
    kept = Quarantine(reason="quarantine/b/0/1/reason.json", without="it is larger than 100 bytes")
    assert "No copy was kept: it is larger than 100 bytes" in alert(settlement(quarantine=kept)).message


def test_where_every_try_was_used_up_the_message_can_be_redriven() -> None:
    told = alert(settlement(Outcome.FAILED, reason="tries-used-up", found=None)).message
    assert "dead-letter queue" in told
    assert 'make replay STAGE=... ARGS="--domain documents --queue intake --execute"' in told
    assert "make backfill" not in told


@given(st.text(min_size=1, max_size=1024))
def test_whatever_the_key_sns_takes_it(key: str) -> None:
    told = alert(settlement(document=document(key=key)))
    assert SUBJECT.fullmatch(told.subject)
    assert [line.isprintable() for line in told.message.splitlines()].count(False) == 0
    assert len(told.message.split("\n")) == len(alert(settlement()).message.split("\n"))
    assert all(told.attributes.values()), "an attribute without a value is refused"


def test_a_key_is_shown_as_it_is_where_that_can_be() -> None:
    key = "naïve/file  with spaces/文書/🦄.pdf"
    assert f"s3://uploads/{key} is" in alert(settlement(document=document(key=key))).message


def test_a_long_key_is_shown_by_its_end() -> None:
    key = "a/" * 400 + "march.pdf"
    assert alert(settlement(document=document(key=key))).subject.endswith("a/a/a/march.pdf")
