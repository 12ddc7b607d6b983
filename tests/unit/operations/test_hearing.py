"""Which buckets a stack hears of, and what is said to somebody whose bucket or route it does not hear of."""

import json

import pytest

from operations.hearing import Hearing
from signalbox.documents import globs
from signalbox.documents.routes import Routes, parse_routes

OWN = "signalbox-documents"
BARE = Hearing(OWN, frozenset(), "", calls=False)
WIDE = Hearing(OWN, frozenset({"acme-contracts"}), "team-", calls=False)


def routes(*buckets: str, pipeline: str = "index") -> Routes:
    return parse_routes(
        json.dumps(
            [{"name": f"r{n}", "bucket": each, "pipeline": pipeline} for n, each in enumerate(buckets)]
        )
    )


@pytest.mark.parametrize(
    ("hearing", "bucket", "reason"),
    [
        (BARE, OWN, "the stack's own"),
        (BARE, "acme-contracts", ""),
        (BARE, "", ""),
        (WIDE, "acme-contracts", "DocumentsExistingBuckets"),
        (WIDE, "acme-contracts-2", ""),
        (WIDE, "team-a", "DocumentsBucketPrefix"),
        (WIDE, "a-team-a", ""),
    ],
)
def test_by_what_a_bucket_is_heard_of(hearing: Hearing, bucket: str, reason: str) -> None:
    assert hearing.reason(bucket) == reason


@pytest.mark.parametrize(
    ("bucket", "declared", "missing"),
    [
        ("team-a", routes("team-*"), []),
        ("team-a", routes("acme-*"), ["no route"]),
        ("team-a", routes("team-*", pipeline="ignore"), ["no route"]),
        ("other", routes("*"), ["add other to DocumentsExistingBuckets"]),
        ("other", routes("acme-*"), ["add other to DocumentsExistingBuckets", "no route"]),
    ],
)
def test_what_a_bucket_still_needs(bucket: str, declared: Routes, missing: list[str]) -> None:
    advice = WIDE.advice(bucket, declared)
    assert len(advice) == len(missing)
    for line, part in zip(advice, missing, strict=True):
        assert part in line


@pytest.mark.parametrize(
    ("hearing", "bucket", "deaf"),
    [
        (WIDE, "*", False),
        (WIDE, OWN, False),
        (WIDE, "*-contracts", False),
        (WIDE, "team-b*", False),
        (WIDE, "*-eu", False),
        (WIDE, "tea?-x", False),
        (WIDE, "acme-invoices", True),
        (WIDE, "teams*", True),
        (BARE, "team-b*", True),
    ],
)
def test_a_route_whose_buckets_are_not_heard_of_is_told(hearing: Hearing, bucket: str, *, deaf: bool) -> None:
    told = list(hearing.deaf_routes(routes(bucket)))
    assert bool(told) is deaf
    assert all(line.startswith("Route r0: ") and "DocumentsBucketPrefix" in line for line in told)
    assert list(hearing.deaf_routes(routes(bucket, pipeline="ignore"))) == []


def test_what_is_too_involved_is_left_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAXIMUM_STATES", 3)
    assert list(WIDE.deaf_routes(routes("*a" + "?" * 20))) == []
