"""Other accounts and Regions: who may put events on the bus, which roles are assumed; by default nothing."""

from typing import Any

import pytest

from tests.template.deployed import Deployed
from tests.template.sources import resources, statements

HOME, ONE, OTHER = "123456789012", "444455556666", "777788889999"
EXTERNAL_ID = "0123456789abcdef"
ROLE = "role/signalbox-spot-estate"
FOR_MEMBERS = {
    "EventBusPolicy",
    "SpotMemberAccess",
    "SpotMemberInstanceEventsRule",
    "SpotMemberLifecycleActionRule",
    "SpotMemberScheduledChangeRule",
}


def deployed(accounts: str = "", regions: str = "", external_id: str = EXTERNAL_ID) -> Deployed:
    return Deployed(
        {
            "SpotMemberAccounts": accounts,
            "SpotMemberRegions": regions,
            "SpotMemberExternalId": external_id,
        }
    )


def made(stack: Deployed) -> set[str]:
    """What there is for members' sake."""
    return {name for name in FOR_MEMBERS if stack.exists(name)}


def entered(stack: Deployed) -> list[str]:
    """The roles that may be assumed."""
    document = stack.value(resources()["SpotMemberAccess"]["Properties"]["PolicyDocument"])
    found: list[str] = []
    for statement in document["Statement"]:
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
        roles = statement["Resource"]
        found += roles if isinstance(roles, list) else [roles]
    return found


def test_a_stack_without_members_has_nothing_for_them() -> None:
    assert made(Deployed({})) == set()
    assert Deployed({}).refusals() == []


def test_other_regions_of_the_same_account_need_no_policy_of_the_bus() -> None:
    assert made(deployed(regions="eu-west-1")) == FOR_MEMBERS - {"EventBusPolicy"}


def test_other_accounts_need_everything() -> None:
    assert made(deployed(accounts=ONE)) == FOR_MEMBERS


@pytest.mark.parametrize("accounts", [ONE, f"{ONE},{OTHER}"])
def test_the_bus_admits_exactly_the_accounts_named(accounts: str) -> None:
    policy: Any = resources("AWS::Events::EventBusPolicy")["EventBusPolicy"]["Properties"]
    statement = deployed(accounts).value(policy["Statement"])
    assert statement["Principal"] == {"AWS": accounts.split(",")}
    assert (statement["Effect"], statement["Action"]) == ("Allow", "events:PutEvents")
    assert statement["Resource"] == "EventBus.Arn"
    assert policy["EventBusName"] == {"Ref": "EventBus"}


@pytest.mark.parametrize(
    ("accounts", "regions", "roles"),
    [
        (ONE, "", [f"arn:*:iam::{ONE}:{ROLE}"]),
        (f"{ONE},{OTHER}", "", [f"arn:*:iam::{ONE}:{ROLE}", f"arn:*:iam::{OTHER}:{ROLE}"]),
        ("", "eu-west-1", [f"arn:aws:iam::{HOME}:{ROLE}"]),
        (ONE, "eu-west-1", [f"arn:aws:iam::{HOME}:{ROLE}", f"arn:*:iam::{ONE}:{ROLE}"]),
    ],
)
def test_the_roles_that_may_be_assumed_are_those_of_the_members(
    accounts: str, regions: str, roles: list[str]
) -> None:
    assert entered(deployed(accounts, regions)) == roles


def test_those_that_reach_the_estate_may_assume_them_and_no_other_function() -> None:
    reaching = {
        f"{name}Role"
        for name, function in resources("AWS::Serverless::Function").items()
        if "SPOT_ESTATE_ROLE_ARN" in function["Properties"]["Environment"]["Variables"]
    }
    access = resources()["SpotMemberAccess"]["Properties"]
    assert {role["Ref"] for role in access["Roles"]} == reaching
    elsewhere = [
        s.owner for s in statements() if "sts:AssumeRole" in s.actions and "Principal" not in s.content
    ]
    assert set(elsewhere) == {"SpotMemberAccess"}


@pytest.mark.parametrize(("accounts", "regions"), [(ONE, ""), ("", "eu-west-1"), (ONE, "eu-west-1")])
def test_members_ask_for_an_external_id(accounts: str, regions: str) -> None:
    [refusal] = deployed(accounts, regions, external_id="").refusals()
    assert "SpotMemberExternalId must be set" in refusal
    assert deployed(accounts, regions).refusals() == []
