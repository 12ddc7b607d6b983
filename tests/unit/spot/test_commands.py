"""A group's commands, as somebody wrote them into Parameter Store."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import RejectedError
from signalbox.spot.commands import (
    ALLOWED,
    COMMAND_KINDS,
    DEFAULT_TIMEOUT_SECONDS,
    LONGEST_COMMAND,
    GroupCommands,
    parameter_name,
    parse_commands,
)
from tests.unit.spot.doubles import json_values

NAME = "/signalbox/spot/web/commands"


def test_commands_in_order_with_their_time() -> None:
    value = '{"shutdown": ["systemctl stop web", "sync"], "timeout_seconds": 40}'
    assert parse_commands(NAME, value) == GroupCommands(("systemctl stop web", "sync"), timeout_seconds=40)


def test_the_time_may_be_left_out() -> None:
    assert parse_commands(NAME, '{"shutdown": ["sync"]}').timeout_seconds == DEFAULT_TIMEOUT_SECONDS


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [
        ("systemctl stop web", "$", "malformed"),
        ("", "$", "truncated"),
        ("[]", "$", "object"),
        ("{}", "$", "`shutdown`"),
        ('{"shutdown": []}', "$.shutdown", ">= 1"),
        ('{"shutdown": "sync"}', "$.shutdown", "array"),
        ('{"shutdown": [""]}', "$.shutdown[0]", ">= 1"),
        ('{"shutdown": ["sync", " \\t"]}', "$.shutdown[1]", "matching"),
        ('{"shutdown": null}', "$", "`fail_health_check`"),
        ('{"fail_health_check": []}', "$.fail_health_check", ">= 1"),
        ('{"fail_health_check": "touch /run/unhealthy"}', "$.fail_health_check", "array"),
        ('{"shutdown": ["sync", 5]}', "$.shutdown[1]", "`str`"),
        (json.dumps({"shutdown": ["x" * (LONGEST_COMMAND + 1)]}), "$.shutdown[0]", "4096"),
        (json.dumps({"shutdown": ["sync"] * 51}), "$.shutdown", "50"),
        ('{"shutdown": ["sync"], "timeout_seconds": 0}', "$.timeout_seconds", ">= 1"),
        ('{"shutdown": ["sync"], "timeout_seconds": 111}', "$.timeout_seconds", "<= 110"),
        ('{"shutdown": ["sync"], "timeout_seconds": "9"}', "$.timeout_seconds", "`int`"),
        ('{"shutdown": ["sync"], "timeout": 9}', "$", "`timeout`"),
    ],
)
def test_bad_values_are_rejected_with_their_place(value: str, place: str, said: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_commands(NAME, value)
    assert caught.value.code == "commands-invalid"
    assert caught.value.where == f"{NAME} {place}"
    assert said in caught.value.what
    assert caught.value.what.endswith(ALLOWED)


def test_what_is_allowed_is_what_is_taken() -> None:
    assert {"shutdown", "checkpoint", "fail_health_check", "timeout_seconds"} == set(
        GroupCommands.__struct_fields__
    )
    assert all(name in ALLOWED for name in GroupCommands.__struct_fields__)
    fullest = {
        "shutdown": ["x" * LONGEST_COMMAND] * 50,
        "checkpoint": ["x"],
        "fail_health_check": ["x"],
        "timeout_seconds": 110,
    }
    found = parse_commands(NAME, json.dumps(fullest))
    assert [len(found.script(kind) or ()) for kind in COMMAND_KINDS] == [1, 1, 50]


@pytest.mark.parametrize("member", ["shutdown", "checkpoint", "fail_health_check"])
def test_one_of_the_scripts_is_enough(member: str) -> None:
    found = parse_commands(NAME, json.dumps({member: ["sync"]}))
    assert [found.script(kind) for kind in COMMAND_KINDS].count(("sync",)) == 1


@given(st.text() | json_values.map(json.dumps) | json_values.map(lambda v: json.dumps({"shutdown": v})))
def test_nothing_but_a_rejection_is_ever_raised(value: str) -> None:
    found = parsed(value)
    assert (
        found.where.startswith(NAME)
        if isinstance(found, RejectedError)
        else all(line.strip() for kind in COMMAND_KINDS for line in found.script(kind) or ())
    )


def parsed(value: str) -> GroupCommands | RejectedError:
    try:
        return parse_commands(NAME, value)
    except RejectedError as error:
        return error


def test_a_parameter_nested_too_deeply_is_rejected() -> None:
    with pytest.raises(RejectedError, match=NAME):
        parse_commands(NAME, '{"shutdown": ' + "[" * 100_000 + "]" * 100_000 + "}")


def test_where_the_commands_lie() -> None:
    assert parameter_name("/signalbox/spot", "web") == NAME
    assert parameter_name("/signalbox/spot", "web.blue_2-a") == "/signalbox/spot/web.blue_2-a/commands"


@pytest.mark.parametrize("group", ["", "web blue", "web/blue", "wéb", "web:1", "web\n", "../web"])
def test_a_group_that_parameter_store_cant_spell_has_none(group: str) -> None:
    assert parameter_name("/signalbox/spot", group) is None
