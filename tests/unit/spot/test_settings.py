"""What a function is told through its environment."""

import pytest

from signalbox.errors import InvariantError
from signalbox.spot.settings import (
    AdmitSettings,
    PlanSettings,
    PublishSettings,
    Settings,
    SweepSettings,
    WorkSettings,
)

NEEDED: dict[type[Settings], dict[str, str]] = {
    AdmitSettings: {
        "LEDGER_TABLE": "ledger",
        "SPOT_STATE_MACHINE_ARN": "arn",
        "AWS_REGION": "us-east-1",
        "ALLOWED_ACCOUNTS": "123456789012",
    },
    PlanSettings: {"LEDGER_TABLE": "ledger", "SPOT_COMMAND_DOCUMENT": "document"},
    WorkSettings: {"LEDGER_TABLE": "ledger"},
    PublishSettings: {"LEDGER_TABLE": "ledger", "ALERT_TOPIC_ARN": "arn", "EVENT_BUS_NAME": "bus"},
    SweepSettings: {"LEDGER_TABLE": "ledger", "SPOT_STATE_MACHINE_ARN": "arn"},
}


@pytest.mark.parametrize("kind", NEEDED)
def test_what_is_needed_is_enough_and_the_rest_of_the_environment_no_matter(kind: type[Settings]) -> None:
    found = kind.from_environment({**NEEDED[kind], "PATH": "/bin", "ledger_table": "another"})
    for name, value in NEEDED[kind].items():
        assert getattr(found, name.lower()) == value


@pytest.mark.parametrize(
    ("kind", "missing"), [(kind, name) for kind, variables in NEEDED.items() for name in variables]
)
def test_a_missing_variable_is_named(kind: type[Settings], missing: str) -> None:
    environment = {name: value for name, value in NEEDED[kind].items() if name != missing}
    with pytest.raises(InvariantError) as caught:
        kind.from_environment(environment)
    assert f"`{missing}`" in str(caught.value)
    assert kind.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "variable", "value"),
    [
        (AdmitSettings, "SPOT_WINDOW_SECONDS", "two"),
        (AdmitSettings, "SPOT_MAXIMUM_EVENT_AGE_SECONDS", ""),
        (PlanSettings, "SPOT_DEFAULT_MODE", "Act"),
        (PlanSettings, "SPOT_DEFAULT_MODE", ""),
        (PlanSettings, "SPOT_DRY_RUN", "maybe"),
        (PlanSettings, "SPOT_COMMAND_LEAD_SECONDS", "30s"),
        (PlanSettings, "SPOT_REBALANCE_COOLDOWN_SECONDS", "ten minutes"),
        (PlanSettings, "SPOT_REBALANCE_MAXIMUM_SHARE", "20%"),
        (PlanSettings, "SPOT_REBALANCE_MINIMUM_AGE_SECONDS", ""),
        (PlanSettings, "SPOT_SCHEDULED_LEAD_SECONDS", "1h"),
        (AdmitSettings, "SPOT_SCHEDULED_LEAD_SECONDS", "1h"),
        (SweepSettings, "SPOT_WINDOW_SECONDS", "2,0"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(kind: type[Settings], variable: str, value: str) -> None:
    with pytest.raises(InvariantError, match=f"`\\$.{variable}`"):
        kind.from_environment({**NEEDED[kind], variable: value})


def test_texts_become_what_they_mean() -> None:
    found = PlanSettings.from_environment(
        {
            **NEEDED[PlanSettings],
            "SPOT_DEFAULT_MODE": "act",
            "SPOT_DRY_RUN": "true",
            "SPOT_COMMAND_LEAD_SECONDS": "45",
        }
    )
    assert (found.spot_default_mode, found.spot_dry_run, found.spot_command_lead_seconds) == (
        "act",
        True,
        45.0,
    )


def test_a_stack_that_says_nothing_only_observes() -> None:
    found = PlanSettings.from_environment(NEEDED[PlanSettings])
    assert (found.spot_default_mode, found.spot_dry_run) == ("observe", False)
