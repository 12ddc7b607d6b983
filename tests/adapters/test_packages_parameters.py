"""Policy and owners as SSM parameters hold them, on moto: read once a minute, and named where broken."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from signalbox.aws.parameters import REMEMBERED_SECONDS
from signalbox.errors import ThrottledError
from signalbox.packages.aws_owners import BrokenOwnersError, ParameterOwners, read_owners
from signalbox.packages.aws_policy import BrokenPolicyError, ParameterPolicy, read_policy
from signalbox.packages.findings import Level
from signalbox.packages.owners import Owners
from signalbox.packages.policy import Policy

POLICY = "/signalbox/test/packages/policy"
OWNERS = "/signalbox/test/packages/owners/"


class Parameters:
    """The parameters, and how often they were read."""

    def __init__(self) -> None:
        self.ssm = boto3.client("ssm", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        self.reads = 0
        self.failure: Exception | None = None
        self.now = 0.0
        for operation in ("GetParameter", "GetParametersByPath"):
            self.ssm.meta.events.register(f"before-call.ssm.{operation}", self._count)

    def _count(self, **_: Any) -> None:
        self.reads += 1
        if self.failure:
            raise self.failure

    def put(self, name: str, text: str) -> None:
        self.ssm.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)

    def declare_policy(self, missing: str) -> None:
        self.put(POLICY, json.dumps({"dependencies": {"missing": missing}}))

    def declare_owner(self, name: str, *patterns: str) -> None:
        self.put(OWNERS + name, json.dumps({"packages": patterns, "project": f"{name}-{{name}}"}))


@pytest.fixture
def parameters() -> Iterator[Parameters]:
    with mock_aws():
        yield Parameters()


@pytest.fixture
def policy(parameters: Parameters) -> ParameterPolicy:
    return ParameterPolicy(parameters.ssm, POLICY, lambda: parameters.now)


@pytest.fixture
def owners(parameters: Parameters) -> ParameterOwners:
    return ParameterOwners(parameters.ssm, OWNERS, lambda: parameters.now)


def owner_of(owners: Owners, package: str) -> str:
    owner = owners.of(package)
    return owner.name if owner else ""


def test_a_policy_is_read_once_a_minute(parameters: Parameters, policy: ParameterPolicy) -> None:
    parameters.declare_policy("warn")
    for seconds, level, reads in ((0, Level.WARN, 1), (59, Level.WARN, 1), (60, Level.ALLOW, 2)):
        parameters.now = seconds
        assert policy().dependencies.missing is level
        assert parameters.reads == reads
        parameters.declare_policy("allow")


def test_where_there_is_no_policy_the_default_holds(parameters: Parameters, policy: ParameterPolicy) -> None:
    assert read_policy(parameters.ssm, POLICY) is None
    assert policy() == policy() == Policy()
    assert parameters.reads == 2


@pytest.mark.parametrize(
    ("text", "place"), [("no JSON", r"\$"), ('{"denied": [{"package": "x"}]}', r"\$\.denied\[0\]\.package")]
)
def test_a_broken_policy_is_an_error_every_time_with_parameter_place_and_what_to_do(
    parameters: Parameters, policy: ParameterPolicy, text: str, place: str
) -> None:
    parameters.declare_policy("warn")
    policy()
    parameters.put(POLICY, text)
    parameters.now += REMEMBERED_SECONDS
    for _ in range(2):
        with pytest.raises(BrokenPolicyError, match=rf"{POLICY}: .*`{place}`; .*policy put FILE --yes"):
            policy()
    parameters.declare_policy("deny")
    assert policy().dependencies.missing is Level.DENY


def test_a_policy_that_can_not_be_read_is_an_error_and_no_default(
    parameters: Parameters, policy: ParameterPolicy
) -> None:
    parameters.failure = ThrottledError("GetParameter: ThrottlingException: later")
    with pytest.raises(ThrottledError):
        policy()


def test_owners_are_read_once_a_minute_ten_a_call(parameters: Parameters, owners: ParameterOwners) -> None:
    for number in range(21):
        parameters.declare_owner(f"team-{number:02}", f"npm/team-{number:02}/*")
    assert owner_of(owners(), "npm/team-20/ui") == "team-20"
    assert owners().project("npm/team-03/ui") == "team-03-ui"
    assert parameters.reads == 3
    parameters.declare_owner("team-99", "npm/team-20/ui")
    parameters.now += REMEMBERED_SECONDS
    assert owner_of(owners(), "npm/team-20/ui") == "team-99"


def test_where_nothing_is_declared_nobody_owns_anything(
    parameters: Parameters, owners: ParameterOwners
) -> None:
    parameters.put(OWNERS.rstrip("/") + "-of-another/web", "no JSON")
    parameters.put(OWNERS + "below/web", "no JSON")
    assert owner_of(owners(), "npm/acme/ui") == owner_of(owners(), "npm/acme/ui") == ""
    assert parameters.reads == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("no JSON", r"owner in SSM parameter {path}web: .*`\$`"),
        ('{"packages": ["x"]}', r"owner in SSM parameter {path}web: .*`\$\.packages\[0\]`"),
        (
            '{"packages": ["npm/acme/*"]}',
            r"owners in SSM parameters {path}\*: .*ui and by web.*`\$\.packages",
        ),
    ],
)
def test_a_broken_owner_is_an_error_every_time_with_parameter_place_and_what_to_do(
    parameters: Parameters, owners: ParameterOwners, text: str, place: str
) -> None:
    parameters.declare_owner("ui", "npm/acme/*")
    parameters.put(OWNERS + "web", text)
    for _ in range(2):
        wanted = place.format(path=OWNERS) + ".*; .*owners put OWNER FILE --yes"
        with pytest.raises(BrokenOwnersError, match=wanted):
            owners()
    parameters.declare_owner("web", "npm/web/*")
    assert owner_of(read_owners(parameters.ssm, OWNERS), "npm/web/ui") == "web"
