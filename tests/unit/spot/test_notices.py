"""From envelope to notice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import RejectedError
from signalbox.eventbridge import parse_envelope
from signalbox.spot.events import parse_event
from signalbox.spot.events.detail import INSTANCE_ACTIONS
from signalbox.spot.notices import Notice, Severity
from tests.unit.spot.doubles import ACCOUNT, NOON, REGION, body, instance_id, json_values, notice, warning

INSTANCE = instance_id(1)


def parse(event: dict[str, Any]) -> Notice:
    [found] = parse_event(parse_envelope(body(event)))
    assert isinstance(found, Notice)
    return found


def test_a_warning_is_a_notice() -> None:
    assert parse(warning(INSTANCE, event_id="e1")) == notice(
        1, event_id="e1", severity=Severity.INTERRUPTION, deadline=NOON + 120
    )


@pytest.mark.parametrize(("action", "seconds"), [("terminate", 120), ("stop", 120), ("hibernate", 0)])
def test_hibernation_alone_begins_at_once(action: str, seconds: int) -> None:
    found = parse(warning(INSTANCE, action=action))
    assert (found.instance_action, found.deadline) == (action, found.noticed_at + seconds)


@pytest.mark.parametrize(
    "resources",
    [
        [f"arn:aws:ec2:{REGION}b:instance/{INSTANCE}"],
        [f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"],
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}",
        [],
        ["arn:aws:ec2:us-east-1a:instance/i-0aaaaaaaaaaaaaaaa"],
    ],
    ids=["zone-and-no-account", "account", "text", "none", "another-instance"],
)
def test_the_instance_is_the_details_whatever_the_resources_say(resources: object) -> None:
    assert parse(warning(INSTANCE, resources=resources)).instance == INSTANCE


@pytest.mark.parametrize("instance", ["i-12345678", "i-1234567890abcdef0"])
def test_short_and_long_ids_are_ids(instance: str) -> None:
    assert parse(warning(instance)).instance == instance


def test_fields_beyond_those_read_are_no_matter() -> None:
    event = warning(INSTANCE)
    event["detail"] |= {"instance-lifecycle": "spot", "availability-zone-id": "use1-az1"}
    assert parse(event).instance == INSTANCE


DETAIL = warning(INSTANCE)["detail"]


def without(field: str) -> dict[str, Any]:
    return {key: value for key, value in DETAIL.items() if key != field}


BAD_DETAILS = {
    "no-instance-id": (without("instance-id"), "missing-instance-id", "$.detail.instance-id"),
    "empty-instance-id": (DETAIL | {"instance-id": ""}, "missing-instance-id", "$.detail.instance-id"),
    "null-instance-id": (DETAIL | {"instance-id": None}, "missing-instance-id", "$.detail.instance-id"),
    "empty-detail": ({}, "missing-instance-id", "$.detail.instance-id"),
    "number-as-id": (DETAIL | {"instance-id": 5}, "malformed", "$.detail.instance-id"),
    "list-as-id": (DETAIL | {"instance-id": [INSTANCE]}, "malformed", "$.detail.instance-id"),
    "arn-as-id": (DETAIL | {"instance-id": f"instance/{INSTANCE}"}, "malformed", "$.detail.instance-id"),
    "upper-case-id": (DETAIL | {"instance-id": "i-ABCDEF12"}, "malformed", "$.detail.instance-id"),
    "id-with-newline": (DETAIL | {"instance-id": f"{INSTANCE}\n"}, "malformed", "$.detail.instance-id"),
    "command-as-id": (DETAIL | {"instance-id": "$(reboot)"}, "malformed", "$.detail.instance-id"),
    "no-action": (without("instance-action"), "malformed", "$.detail"),
    "null-action": (DETAIL | {"instance-action": None}, "malformed", "$.detail.instance-action"),
    "unknown-action": (DETAIL | {"instance-action": "explode"}, "unknown-action", "$.detail.instance-action"),
    "empty-action": (DETAIL | {"instance-action": ""}, "unknown-action", "$.detail.instance-action"),
    "capital-action": (
        DETAIL | {"instance-action": "Terminate"},
        "unknown-action",
        "$.detail.instance-action",
    ),
}


@pytest.mark.parametrize(("detail", "code", "where"), BAD_DETAILS.values(), ids=BAD_DETAILS)
def test_bad_input_is_rejected_with_its_place(detail: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse(warning(INSTANCE, detail=detail))
    assert (caught.value.code, caught.value.where) == (code, where)
    assert where in str(caught.value)


def test_a_missing_action_is_named() -> None:
    with pytest.raises(RejectedError, match="`instance-action`"):
        parse(warning(INSTANCE, detail=without("instance-action")))


def test_an_unknown_action_is_told_the_known_ones() -> None:
    with pytest.raises(RejectedError) as caught:
        parse(warning(INSTANCE, action="explode"))
    assert all(word in caught.value.what for word in ("explode", *INSTANCE_ACTIONS))


@pytest.mark.parametrize(
    "changes",
    [
        {"detail-type": "EC2 Fleet Instance Change"},
        {"detail-type": ""},
        {"source": "my.own"},
        {"source": "aws.ec2fleet"},
    ],
)
def test_an_event_of_another_kind_is_told_apart(changes: dict[str, Any]) -> None:
    with pytest.raises(RejectedError) as caught:
        parse(warning(INSTANCE, **changes))
    assert (caught.value.code, caught.value.where) == ("unexpected-event", "$.detail-type")
    assert all(repr(value) in caught.value.what for value in changes.values())


details = st.dictionaries(
    st.sampled_from(("instance-id", "instance-action")) | st.text(),
    st.sampled_from((INSTANCE, "stop", "hibernate")) | json_values,
    max_size=4,
)


def parsed(detail: dict[str, Any]) -> Notice | RejectedError:
    try:
        return parse(warning(INSTANCE, detail=detail))
    except RejectedError as error:
        return error


@given(details)
def test_nothing_but_a_rejection_is_ever_raised(detail: dict[str, Any]) -> None:
    found = parsed(detail)
    if isinstance(found, RejectedError):
        assert found.where.startswith("$.detail")
    else:
        assert (found.instance, found.instance_action) == (detail["instance-id"], detail["instance-action"])
        assert found.noticed_at == NOON
        assert found.deadline in (NOON, NOON + 120)
