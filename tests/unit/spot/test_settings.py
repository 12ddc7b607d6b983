"""What a function is told through its environment."""

import pytest

from signalbox.errors import InvariantError
from signalbox.settings import Settings
from signalbox.spot.settings import (
    AdmitSettings,
    EstateSettings,
    PlanSettings,
    PublishSettings,
    SettleSettings,
    SweepSettings,
)

ESTATE = {
    "LEDGER_TABLE": "ledger",
    "SIGNALBOX_STACK": "signalbox-prod",
    "AWS_REGION": "us-east-1",
    "SPOT_ESTATE_ROLE_ARN": "arn:aws:iam::123456789012:role/signalbox-spot-estate",
}

NEEDED: dict[type[Settings], dict[str, str]] = {
    AdmitSettings: {
        "LEDGER_TABLE": "ledger",
        "SPOT_STATE_MACHINE_ARN": "arn",
        "AWS_REGION": "us-east-1",
        "HUB_ACCOUNT": "123456789012",
    },
    PlanSettings: {**ESTATE, "SPOT_COMMAND_DOCUMENT": "document"},
    EstateSettings: ESTATE,
    SettleSettings: {"LEDGER_TABLE": "ledger"},
    PublishSettings: {"LEDGER_TABLE": "ledger", "ALERT_TOPIC_ARN": "arn", "EVENT_BUS_NAME": "bus"},
    SweepSettings: {
        **ESTATE,
        "SPOT_STATE_MACHINE_ARN": "arn",
        "ALERT_TOPIC_ARN": "arn",
        "EVENT_BUS_NAME": "bus",
    },
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
        (PlanSettings, "SPOT_REBALANCE_COOLDOWN_SECONDS", "-1"),
        (PlanSettings, "SPOT_REBALANCE_COOLDOWN_SECONDS", "86401"),
        (PlanSettings, "SPOT_REBALANCE_MAXIMUM_SHARE", "0"),
        (PlanSettings, "SPOT_REBALANCE_MAXIMUM_SHARE", "101"),
        (PlanSettings, "SPOT_REBALANCE_MINIMUM_AGE_SECONDS", "-0.5"),
        (PlanSettings, "SPOT_REBALANCE_MINIMUM_AGE_SECONDS", "nan"),
        (PlanSettings, "SPOT_SCHEDULED_LEAD_SECONDS", "1h"),
        (AdmitSettings, "SPOT_SCHEDULED_LEAD_SECONDS", "1h"),
        (SweepSettings, "SPOT_WINDOW_SECONDS", "2,0"),
        (SettleSettings, "SPOT_LATE_LOOK_SECONDS", "15 minutes"),
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


HOME, MEMBER = "123456789012", "444455556666"


@pytest.mark.parametrize(
    ("accounts", "regions", "places"),
    [
        ("", "", {(HOME, "us-east-1")}),
        (MEMBER, "", {(HOME, "us-east-1"), (MEMBER, "us-east-1")}),
        ("", "eu-west-1", {(HOME, "us-east-1"), (HOME, "eu-west-1")}),
        (MEMBER, "eu-west-1", {(HOME, "us-east-1"), (HOME, "eu-west-1"), (MEMBER, "eu-west-1")}),
        (
            f"{MEMBER},777788889999",
            "us-east-1,eu-west-1",
            {(a, r) for a in (HOME, MEMBER, "777788889999") for r in ("us-east-1", "eu-west-1")},
        ),
    ],
)
def test_events_are_taken_from_the_places_named_and_from_home(
    accounts: str, regions: str, places: set[tuple[str, str]]
) -> None:
    members = {"SPOT_MEMBER_ACCOUNTS": accounts, "SPOT_MEMBER_REGIONS": regions}
    found = AdmitSettings.from_environment({**NEEDED[AdmitSettings], **members})
    assert found.scope.places == places
    assert found.scope.maximum_age == 900.0


def test_the_hub_knows_its_own_account_by_the_role() -> None:
    hub = EstateSettings.from_environment({**ESTATE, "SPOT_ESTATE_EXTERNAL_ID": "0123456789abcdef"}).hub
    assert (hub.account, hub.region, hub.name) == (HOME, "us-east-1", "signalbox-prod")
    assert hub.external_id == "0123456789abcdef"
