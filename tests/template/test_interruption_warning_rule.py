"""The sample event and the rule that lets it in: a contract of the two."""

import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.template.sources import ROOT, resources

ACCOUNT, REGION = "123456789012", "us-east-1"
PSEUDO_PARAMETERS = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION}
PLACEHOLDERS = {
    "{{uuid}}": "0b2a3f8e-5d0e-4c8e-9c57-0c7a3a0f1d11",
    "{{now}}": "2026-01-31T12:00:00Z",
    "{{account}}": ACCOUNT,
    "{{region}}": REGION,
    "{{instance}}": "i-0123456789abcdef0",
}


def warning() -> dict[str, Any]:
    """events/spot/interruption_warning.json, filled in."""
    text = (ROOT / "events" / "spot" / "interruption_warning.json").read_text()
    for placeholder, value in PLACEHOLDERS.items():
        assert placeholder in text
        text = text.replace(placeholder, value)
    assert "{{" not in text
    event: dict[str, Any] = json.loads(text)
    return event


def pattern() -> dict[str, Any]:
    raw = resources("AWS::Events::Rule")["SpotInterruptionWarningRule"]["Properties"]["EventPattern"]
    return {
        key: [PSEUDO_PARAMETERS[value["Ref"]] if isinstance(value, dict) else value for value in values]
        for key, values in raw.items()
    }


def admits(event: dict[str, Any]) -> bool:
    # moto 5.2.5: matches_event takes the event as EventBridge delivers it.
    return EventPattern.load(json.dumps(pattern())).matches_event(event)  # type: ignore[arg-type] # a TypedDict


def test_the_sample_event_is_let_in() -> None:
    assert admits(warning())


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate", "a-word-aws-may-invent"])
def test_the_rule_leaves_the_action_to_the_parser(action: str) -> None:
    event = warning()
    event["detail"]["instance-action"] = action
    assert admits(event)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "999999999999"),
        ("region", "eu-west-1"),
        ("source", "my.own"),
        ("source", "aws.ec2fleet"),
        ("detail-type", "EC2 Instance Rebalance Recommendation"),
        ("detail-type", "EC2 Instance State-change Notification"),
    ],
)
def test_another_account_region_source_or_type_is_not(field: str, value: str) -> None:
    assert not admits(warning() | {field: value})


@pytest.mark.parametrize("field", ["account", "region", "source", "detail-type"])
def test_an_event_that_lacks_a_pinned_field_is_not(field: str) -> None:
    event = warning()
    del event[field]
    assert not admits(event)


def test_the_rule_is_on_the_default_bus() -> None:
    assert "EventBusName" not in resources("AWS::Events::Rule")["SpotInterruptionWarningRule"]["Properties"]
