"""One hub for several accounts and Regions, with the members' own template deployed where it belongs.

ministack drops what a rule sends to another account's bus: what a member's rule has let through is put on the
hub's bus as EventBridge would deliver it, unchanged.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from local import fleet
from local.deployment import STACK, create_documents, deploy
from local.embedded import Elsewhere, EmbeddedAws
from local.inbox import Inbox
from local.pruning import prune
from local.settings import ACCOUNT, REGION
from tests.e2e.stack import Event, Guard, Scene, Settled, Stack, wait_until, warning
from tests.examples.example_templates import MEMBER

pytestmark = pytest.mark.embedded

OTHER_ACCOUNT, OTHER_REGION = "444455556666", "eu-west-1"
MISCONFIGURED = "777788889999"
STRANGER = "999999999999"
EXTERNAL_ID = "7f0c2f1e5b0d4c55"
MEMBER_STACK = "signalbox-member"
LEAD_SECONDS = 110
"""The commands are due at once, with the deadline far: a slow machine isn't late, a fast one needn't wait."""
GROUP = "web"
SIZE = 2


@dataclass(frozen=True)
class Estate:
    """A group in one account and Region; the same name everywhere, other commands each."""

    place: Elsewhere
    instances: tuple[str, ...]
    target_group: str

    @classmethod
    def make(cls, place: Elsewhere) -> "Estate":
        group = fleet.Group(GROUP, SIZE, behind_load_balancer=True, shutdown=(script(place),))
        target_group = fleet.add(place, group)
        return cls(place, fleet.members(place, GROUP)[GROUP], target_group)

    @property
    def warned(self) -> str:
        return self.instances[0]

    def warning(self) -> Event:
        place = {"account": self.place.account, "region": self.place.region}
        return warning(self.warned, age=0, **place)

    def members(self) -> tuple[str, ...]:
        return fleet.members(self.place, GROUP)[GROUP]

    def draining(self) -> list[str]:
        targets = self.place.client("elbv2").describe_target_health(TargetGroupArn=self.target_group)
        states = {t["Target"]["Id"]: t["TargetHealth"]["State"] for t in targets["TargetHealthDescriptions"]}
        return [instance for instance in self.instances if states.get(instance) == "draining"]

    def commands(self) -> list[tuple[list[str], str, list[str]]]:
        """Instances, document and script of each command that was sent there."""
        listed = self.place.client("ssm").list_commands()["Commands"]
        return [(c["InstanceIds"], c["DocumentName"], c["Parameters"]["Commands"]) for c in listed]


def script(place: Elsewhere) -> str:
    return f"echo {place.account} {place.region}"


def join(place: Elsewhere, hub_bus: str, *, role: str, external_id: str = EXTERNAL_ID) -> None:
    """Deploys examples/member there."""
    parameters = {
        "HubAccountId": ACCOUNT,
        "HubStackName": STACK,
        "HubEventBusArn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{hub_bus}",
        "ExternalId": external_id,
        "EstateRole": role,
        "Regions": f"{REGION},{OTHER_REGION}",
    }
    pseudo = {"AWS::StackName": MEMBER_STACK, "AWS::Partition": "aws"}
    pruned = prune(MEMBER.template, parameters | pseudo)
    create_documents(place, pruned)
    formation = place.client("cloudformation")
    formation.create_stack(
        StackName=MEMBER_STACK,
        TemplateBody=json.dumps(pruned.template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )

    def status() -> str:
        [stack] = formation.describe_stacks(StackName=MEMBER_STACK)["Stacks"]
        assert not stack["StackStatus"].endswith(("FAILED", "ROLLBACK_COMPLETE")), stack
        return str(stack["StackStatus"])

    wait_until(lambda: status() == "CREATE_COMPLETE", f"{MEMBER_STACK} in {place.account}", status)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    members = {
        "SpotMemberAccounts": f"{OTHER_ACCOUNT},{MISCONFIGURED}",
        "SpotMemberRegions": f"{REGION},{OTHER_REGION}",
        "SpotMemberExternalId": EXTERNAL_ID,
        "SpotCommandLeadSeconds": str(LEAD_SECONDS),
    }
    with EmbeddedAws.start(tmp_path_factory.mktemp("accounts"), enforce_iam=True) as aws:
        outputs = deploy(aws, overrides=members).outputs
        yield Stack(aws, outputs, fleet.Fleet({}, ""), Inbox.open(aws, outputs))


@pytest.fixture(scope="module")
def estates(hub: Stack) -> Mapping[str, Estate]:
    """Home, another Region, another account, both; and one that expects another external id."""
    places = {
        "home": hub.aws.elsewhere(ACCOUNT, REGION),
        "region": hub.aws.elsewhere(ACCOUNT, OTHER_REGION),
        "account": hub.aws.elsewhere(OTHER_ACCOUNT, REGION),
        "both": hub.aws.elsewhere(OTHER_ACCOUNT, OTHER_REGION),
        "closed": hub.aws.elsewhere(MISCONFIGURED, REGION),
    }
    bus = hub.outputs["EventBusName"]
    join(places["region"], bus, role="create")
    join(places["account"], bus, role="create")
    join(places["both"], bus, role="exists")
    join(places["closed"], bus, role="create", external_id="another-external-id")
    made = {name: Estate.make(place) for name, place in places.items()}
    Guard(hub.aws.estate_url).reset()
    return made


@pytest.fixture(scope="module")
def settled(hub: Stack, estates: Mapping[str, Estate]) -> Settled:
    """A warning in each place; not all at once, which would start forty workers."""
    scene = Scene(hub, before=0)
    for names in (("home", "closed"), ("region", "account", "both")):
        for name in names:
            warn(hub, estates[name], forward=name != "home")
        wait_until(hub.is_quiet, f"{names} settled", hub.executions)
    return scene.settled([estate.warned for estate in estates.values()])


def warn(hub: Stack, estate: Estate, *, forward: bool) -> None:
    """Puts a warning on the default bus there, and what a member's rule lets through on the hub's."""
    event = estate.warning()
    [heard] = estate.place.deliver([event])
    assert len(heard["rules"]) == 1
    if forward:
        [forwarded] = hub.aws.deliver([event], bus=hub.outputs["EventBusName"])
        assert len(forwarded["rules"]) == 1


REACHED = ["home", "region", "account", "both"]


@pytest.mark.parametrize("name", REACHED)
def test_a_warning_is_handled_where_it_comes_from(
    name: str, estates: Mapping[str, Estate], settled: Settled
) -> None:
    estate = estates[name]
    assert settled.outcomes[estate.warned] == "handled"
    members = estate.members()
    assert len(members) == SIZE
    assert set(estate.instances) - set(members) == {estate.warned}
    assert estate.draining() == [estate.warned]
    assert estate.commands() == [([estate.warned], f"{STACK}-spot-command", [script(estate.place)])]


def test_each_place_has_a_window_of_its_own_and_nothing_is_done_twice(
    hub: Stack, estates: Mapping[str, Estate], settled: Settled
) -> None:
    places = {(estate.place.account, estate.place.region) for estate in estates.values()}
    assert {(w.window.account, w.window.region) for w in settled.windows} == places
    assert len(settled.windows) == len(places)
    once_each = ("autoscaling:DetachInstances", "elasticloadbalancing:DeregisterTargets", "ssm:SendCommand")
    assert hub.guard.changes() == dict.fromkeys(once_each, len(REACHED))


def test_alerts_say_which_account_and_region(estates: Mapping[str, Estate], settled: Settled) -> None:
    attributes = [alert["MessageAttributes"] for alert in settled.heard.alerts]
    told = {
        (a["account"]["Value"], a["region"]["Value"])
        for a in attributes
        if (a["stage"]["Value"], a["outcome"]["Value"]) == ("settled", "handled")
    }
    assert told == {(estates[name].place.account, estates[name].place.region) for name in REACHED}


def test_a_member_that_lets_nobody_in_is_told_of_and_untouched(
    estates: Mapping[str, Estate], settled: Settled
) -> None:
    estate = estates["closed"]
    assert settled.outcomes[estate.warned] == "failed"
    reason = settled.reasons(estate.warned)["member-closed"]
    role = f"arn:aws:iam::{MISCONFIGURED}:role/signalbox-spot-estate"
    assert f"account {MISCONFIGURED}, Region {REGION} does not let us in through {role}" in reason
    assert "examples/member" in reason
    alerts = [a for a in settled.heard.alerts if a["MessageAttributes"]["account"]["Value"] == MISCONFIGURED]
    [alert] = alerts
    assert alert["MessageAttributes"]["outcome"]["Value"] == "failed"
    assert role in alert["Message"]
    [failed] = [name for name in settled.executions if MISCONFIGURED in name]
    assert settled.executions[failed] == "FAILED"
    assert estate.members() == estate.instances
    assert estate.draining() == []
    assert estate.commands() == []


@pytest.mark.parametrize(
    ("place", "code"),
    [((STRANGER, REGION), "foreign-account"), ((OTHER_ACCOUNT, "eu-west-2"), "foreign-region")],
)
def test_an_event_of_somebody_else_is_not_let_in(hub: Stack, place: tuple[str, str], code: str) -> None:
    """Not by the rules; and not by the intake, were it to get there."""
    account, region = place
    event = warning("i-0123456789abcdef0", account=account, region=region)
    [heard] = hub.aws.deliver([event], bus=hub.outputs["EventBusName"])
    assert heard["rules"] == []
    scene = Scene(hub, before=0)
    [message] = scene.put_on_queue(json.dumps(event))
    scene.quiet()
    [rejection] = [each for each in hub.account.rejections() if each.id == message]
    assert rejection.code == code
