"""Clients of other accounts and Regions: whose session signs, how often one is taken, what a refusal is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.ec2.models import ec2_backends

from signalbox.aws import estates
from signalbox.aws.calls import call
from signalbox.aws.clients import client, session
from signalbox.aws.estates import Home, Hub, Member
from signalbox.errors import MemberClosedError, SignalboxError, ThrottledError
from signalbox.ledger.windows import Window

HOME, ELSEWHERE = ("123456789012", "us-east-1"), ("444455556666", "eu-west-1")
EXTERNAL_ID = "0123456789abcdef"
HUB = Hub(
    name="signalbox-prod",
    region=HOME[1],
    role_arn=f"arn:aws:iam::{HOME[0]}:role/signalbox-spot-estate",
    external_id=EXTERNAL_ID,
)


def window(account: str, region: str, number: int = 42) -> Window:
    return Window("spot", account, region, number)


class Assumptions:
    """The calls of AssumeRole that went out: their hosts and parameters."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.parameters: list[dict[str, str]] = []
        client("sts").meta.events.register("before-send.sts.AssumeRole", self._note)

    def _note(self, request: Any, **_: object) -> None:
        self.hosts.append(urlsplit(request.url).netloc)
        sent = parse_qs(request.body.decode() if isinstance(request.body, bytes) else request.body)
        self.parameters.append({name: values[0] for name, values in sent.items()})

    def __len__(self) -> int:
        return len(self.hosts)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"AWS_REGION": HOME[1], "AWS_DEFAULT_REGION": HOME[1]}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        _forget()
        yield
    _forget()


def _forget() -> None:
    """What was made in another environment."""
    for kept in (client, session, estates._session):
        kept.cache_clear()


@pytest.fixture
def assumed() -> Assumptions:
    return Assumptions()


def make_network(estate: Home | Member) -> str:
    vpc: str = estate.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return vpc


def places_of(vpc: str) -> set[tuple[str, str]]:
    """Where there is such a network."""
    accounts, regions = {HOME[0], ELSEWHERE[0]}, {HOME[1], ELSEWHERE[1]}
    return {(a, r) for a in accounts for r in regions if vpc in ec2_backends[a][r].vpcs}


def test_at_home_nobody_asks_for_a_session(assumed: Assumptions) -> None:
    home = HUB.estate(window(*HOME))
    assert home == Home()
    assert home.client("ec2") is client("ec2", attempts=3)
    assert places_of(make_network(home)) == {HOME}
    assert len(assumed) == 0


@pytest.mark.parametrize(
    "place",
    [ELSEWHERE, (ELSEWHERE[0], HOME[1]), (HOME[0], ELSEWHERE[1])],
    ids=["both", "account", "region"],
)
def test_elsewhere_the_calls_go_to_the_windows_account_and_region(
    place: tuple[str, str], assumed: Assumptions
) -> None:
    estate = HUB.estate(window(*place))
    assert places_of(make_network(estate)) == {place}
    assert assumed.hosts == ["sts.us-east-1.amazonaws.com"]
    [sent] = assumed.parameters
    assert sent["RoleArn"] == f"arn:aws:iam::{place[0]}:role/signalbox-spot-estate"
    assert sent["ExternalId"] == EXTERNAL_ID
    assert sent["RoleSessionName"] == f"signalbox-prod.spot-{place[0]}-{place[1]}-00000042"


def test_one_session_serves_a_window(assumed: Assumptions) -> None:
    """However many clients, threads and calls."""
    ec2 = HUB.estate(window(*ELSEWHERE)).client("ec2")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: call(ec2.describe_vpcs), range(16)))
    call(HUB.estate(window(*ELSEWHERE)).client("autoscaling").describe_auto_scaling_groups)
    assert len(assumed) == 1


def test_another_window_takes_a_session_of_its_own(assumed: Assumptions) -> None:
    for number in (1, 2):
        make_network(HUB.estate(window(*ELSEWHERE, number)))
    names = [sent["RoleSessionName"][-8:] for sent in assumed.parameters]
    assert names == ["00000001", "00000002"]


def test_a_session_about_to_expire_is_taken_anew(
    assumed: Assumptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK does so when 15 minutes are left: here from the beginning."""
    monkeypatch.setattr(estates, "SESSION_SECONDS", 900)
    estate = HUB.estate(window(*ELSEWHERE))
    make_network(estate)
    make_network(estate)
    assert len(assumed) == 2


def test_a_session_is_made_no_sooner_than_it_is_needed(assumed: Assumptions) -> None:
    HUB.estate(window(*ELSEWHERE)).client("ec2")
    assert len(assumed) == 0


def refused(code: str, status: int) -> SignalboxError:
    """What a call elsewhere raises where AssumeRole answers that."""
    estate = HUB.estate(window(*ELSEWHERE))
    with Stubber(client("sts")) as sts:
        sts.add_client_error("assume_role", code, "is not authorized to perform: sts:AssumeRole", status)
        with pytest.raises(SignalboxError) as caught:
            call(estate.client("ec2").describe_vpcs)
    return caught.value


@pytest.mark.parametrize("code", ["AccessDenied", "RegionDisabledException", "ValidationError"])
def test_a_member_that_is_not_set_up_says_which_and_what_to_do(code: str) -> None:
    error = refused(code, 403)
    assert isinstance(error, MemberClosedError)
    message = str(error)
    assert "account 444455556666, Region eu-west-1" in message
    assert "arn:aws:iam::444455556666:role/signalbox-spot-estate" in message
    assert "deploy examples/member" in message
    assert code in message
    assert EXTERNAL_ID not in message


@pytest.mark.parametrize(("code", "status"), [("Throttling", 400), ("ThrottlingException", 429)])
def test_a_throttled_assumption_is_worth_another_try(code: str, status: int) -> None:
    assert isinstance(refused(code, status), ThrottledError)


def test_a_hub_without_an_external_id_asks_nobody(assumed: Assumptions) -> None:
    hub = Hub(name=HUB.name, region=HUB.region, role_arn=HUB.role_arn)
    with pytest.raises(MemberClosedError, match="set SpotMemberExternalId"):
        call(hub.estate(window(*ELSEWHERE)).client("ec2").describe_vpcs)
    assert len(assumed) == 0


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_role_is_the_same_in_every_partition(partition: str) -> None:
    hub = Hub(name="hub", region="r", role_arn=f"arn:{partition}:iam::{HOME[0]}:role/signalbox-spot-estate")
    member = hub.estate(window(*ELSEWHERE))
    assert isinstance(member, Member)
    assert member.role_arn == f"arn:{partition}:iam::{ELSEWHERE[0]}:role/signalbox-spot-estate"


@pytest.mark.parametrize("name", ["s", "signalbox-prod", "a-stack-with-a-name-that-is-much-too-long" * 3])
def test_a_session_has_a_name_that_sts_takes(name: str) -> None:
    hub = Hub(name=name, region=HUB.region, role_arn=HUB.role_arn, external_id=EXTERNAL_ID)
    member = hub.estate(window(ELSEWHERE[0], "ap-southeast-1", 99_999_999))
    assert isinstance(member, Member)
    assert len(member.session_name) <= 64
    assert member.session_name.endswith("spot-444455556666-ap-southeast-1-99999999")
    assert name.startswith(member.session_name.split(".")[0])
