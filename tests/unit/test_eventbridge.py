"""The envelope: strict about what is read, lenient about the rest."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.clock import iso
from signalbox.errors import RejectedError
from signalbox.eventbridge import FUTURE_TOLERANCE_SECONDS, Envelope, Scope, check_scope, parse_envelope
from tests.unit.spot.doubles import ACCOUNT, NOON, REGION, SCOPE, body, instance_id, json_values, warning

EVENT = warning(instance_id(1))
MEMBER = "444455556666"
READ_FIELDS = ("id", "source", "detail-type", "account", "region", "time", "detail")


def rejection_of(text: str | bytes) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        parse_envelope(text)
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        '{"id": "1"',
        body(EVENT)[:-1],
        body(EVENT) + "x",
        "\ufeff" + body(EVENT),
        b"\xff\xfe",
        '{"id": "\udc80"}',
        '{"id": "\\ud800"}',
        body(EVENT)[:-1] + ', "more": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=[
        "empty",
        "words",
        "cut",
        "cut-by-one",
        "trailing",
        "byte-order-mark",
        "not-utf-8",
        "lone-surrogate",
        "escaped-lone-surrogate",
        "nested-too-deeply",
    ],
)
def test_what_is_no_json_is_unreadable(text: str | bytes) -> None:
    assert rejection_of(text).code == "unreadable"


@pytest.mark.parametrize("text", ["null", "[]", "5", '"text"', "true", "[{}]"])
def test_json_that_is_no_object_is_malformed(text: str) -> None:
    error = rejection_of(text)
    assert (error.code, error.where) == ("malformed", "$")
    assert "object" in error.what


@pytest.mark.parametrize("field", READ_FIELDS)
def test_a_missing_field_is_named(field: str) -> None:
    error = rejection_of(body({key: value for key, value in EVENT.items() if key != field}))
    assert error.code == "malformed"
    assert f"`{field}`" in error.what


@pytest.mark.parametrize("field", READ_FIELDS)
@pytest.mark.parametrize("value", [None, 5, ["a"], True])
def test_a_field_of_a_wrong_type_is_named_with_its_place(field: str, value: object) -> None:
    error = rejection_of(body(EVENT | {field: value}))
    assert (error.code, error.where) == ("malformed", f"$.{field}")
    assert f"$.{field}" in str(error)


@pytest.mark.parametrize(
    "time", ["", "noon", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "1780000000"]
)
def test_a_time_that_is_none_is_malformed(time: str) -> None:
    error = rejection_of(body(EVENT | {"time": time}))
    assert (error.code, error.where) == ("malformed", "$.time")


@pytest.mark.parametrize(
    "changes",
    [
        {"replay-name": "yesterday"},
        {"resources": "arn:aws:ec2:us-east-1:123456789012:instance/i-1234567890abcdef0"},
        {"resources": []},
        {"version": 7},
        {"detail": EVENT["detail"] | {"availability-zone-id": "use1-az1", "nested": {"deep": [1, None]}}},
    ],
)
def test_what_is_not_read_may_look_as_it_likes(changes: dict[str, Any]) -> None:
    envelope = parse_envelope(body(EVENT | changes))
    assert (envelope.id, envelope.occurred_at) == (EVENT["id"], NOON)


@pytest.mark.parametrize("field", ["version", "resources"])
def test_what_is_not_read_may_be_missing(field: str) -> None:
    envelope = parse_envelope(body({key: value for key, value in EVENT.items() if key != field}))
    assert envelope.id == EVENT["id"]


def parsed(text: str | bytes) -> Envelope | RejectedError:
    try:
        return parse_envelope(text)
    except RejectedError as error:
        return error


@given(st.binary() | st.text() | json_values.map(json.dumps))
def test_nothing_but_a_rejection_is_ever_raised(text: str | bytes) -> None:
    found = parsed(text)
    if isinstance(found, RejectedError):
        assert found.where.startswith("$")
    else:
        assert isinstance(found.occurred_at, float)


@given(st.fixed_dictionaries({field: json_values | st.just(EVENT[field]) for field in READ_FIELDS}))
def test_nothing_but_a_rejection_is_raised_for_what_looks_like_an_event(event: dict[str, Any]) -> None:
    found = parsed(body(event))
    if isinstance(found, RejectedError):
        assert found.code == "malformed"
    else:
        assert found.detail == event["detail"]


def scope_code(event: dict[str, Any], now: float = NOON) -> tuple[str, str, str]:
    with pytest.raises(RejectedError) as caught:
        check_scope(parse_envelope(body(event)), SCOPE, now)
    return caught.value.code, caught.value.where, caught.value.what


@pytest.mark.parametrize(
    ("changes", "code", "where", "said"),
    [
        ({"account": "999999999999"}, "foreign-account", "$.account", ("999999999999", ACCOUNT)),
        ({"account": ""}, "foreign-account", "$.account", (ACCOUNT,)),
        ({"region": "eu-west-1"}, "foreign-region", "$.region", ("eu-west-1", REGION)),
        ({"time": iso(NOON + 3_600)}, "from-future", "$.time", (iso(NOON + 3_600), "3600 s")),
        ({"time": iso(NOON - 7_200)}, "stale", "$.time", (iso(NOON - 7_200), "7200 s", "900 s")),
        ({"time": "0001-01-01T00:00:00Z"}, "stale", "$.time", ("0001-01-01",)),
        ({"time": "9999-12-31T23:59:59Z"}, "from-future", "$.time", ("9999-12-31",)),
    ],
)
def test_an_event_out_of_scope_is_rejected(
    changes: dict[str, Any], code: str, where: str, said: tuple[str, ...]
) -> None:
    found = scope_code(EVENT | changes)
    assert found[:2] == (code, where)
    assert all(part in found[2] for part in said)


@pytest.mark.parametrize("age", [-FUTURE_TOLERANCE_SECONDS, -1, 0, 1, SCOPE.maximum_age])
def test_an_event_just_within_the_limits_is_taken(age: float) -> None:
    check_scope(parse_envelope(body(warning(instance_id(1), at=NOON - age))), SCOPE, NOON)


@pytest.mark.parametrize("age", [-FUTURE_TOLERANCE_SECONDS - 1, SCOPE.maximum_age + 1])
def test_an_event_just_beyond_them_is_not(age: float) -> None:
    scope_code(warning(instance_id(1), at=NOON - age))


def test_each_account_has_its_own_regions() -> None:
    """Some only in another one than the hub's own."""
    scope = Scope(frozenset({(ACCOUNT, REGION), (ACCOUNT, "eu-west-1"), (MEMBER, "eu-west-1")}), 900.0)
    for account, region in scope.places:
        check_scope(parse_envelope(body(EVENT | {"account": account, "region": region})), scope, NOON)
    with pytest.raises(RejectedError) as caught:
        check_scope(parse_envelope(body(EVENT | {"account": MEMBER, "region": REGION})), scope, NOON)
    assert (caught.value.code, caught.value.where) == ("foreign-region", "$.region")
    assert caught.value.what == f"region {REGION!r} of account {MEMBER} is not one of: eu-west-1"
