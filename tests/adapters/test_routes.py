"""The routes of an SSM parameter, on moto: read once a minute; the default where there is none."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from signalbox.aws.parameters import read_declaration
from signalbox.documents.aws_routes import BrokenRoutesError, ParameterRoutes, read_routes
from signalbox.documents.models import Options
from signalbox.documents.routes import default_routes
from signalbox.errors import RejectedError, ThrottledError
from tests.unit.documents.doubles import MovableClock

PARAMETER = "/signalbox/test/documents/routes"


class Parameter:
    """The parameter, and how often it was read."""

    def __init__(self) -> None:
        self.ssm = boto3.client("ssm", "us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        self.reads = 0
        self.failure: Exception | None = None
        self.ssm.meta.events.register("before-call.ssm.GetParameter", self._count)

    def _count(self, **_: Any) -> None:
        self.reads += 1
        if self.failure:
            raise self.failure

    def put(self, text: str) -> None:
        self.ssm.put_parameter(Name=PARAMETER, Value=text, Type="String", Overwrite=True)

    def declare(self, name: str) -> None:
        self.put(json.dumps([{"name": name, "bucket": "*", "pipeline": "index"}]))


@pytest.fixture
def parameter() -> Iterator[Parameter]:
    with mock_aws():
        yield Parameter()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def routes(parameter: Parameter, clock: MovableClock) -> ParameterRoutes:
    return ParameterRoutes(parameter.ssm, PARAMETER, "own", "own-work", clock)


def test_what_is_declared_holds(parameter: Parameter, routes: ParameterRoutes) -> None:
    parameter.declare("all")
    assert routes().match("any", "a") == Options(route="all")


def test_what_the_domain_makes_itself_is_never_taken(parameter: Parameter, routes: ParameterRoutes) -> None:
    """Whoever indexes the index makes more of it with each file: for ever."""
    parameter.declare("all")
    assert routes().match("own-work", "index/documents/a.json.gz") is None
    assert routes().match("own-work-of-somebody-else", "a") == Options(route="all")


def test_it_is_read_once_a_minute(parameter: Parameter, routes: ParameterRoutes, clock: MovableClock) -> None:
    parameter.declare("one")
    for seconds, name, reads in ((0, "one", 1), (59, "one", 1), (60, "two", 2), (100, "two", 2)):
        clock.now += seconds - (clock.now - MovableClock().now)
        assert routes().match("any", "a") == Options(route=name)
        assert parameter.reads == reads
        parameter.declare("two")


def test_where_there_is_none_the_default_holds_and_that_too_for_a_minute(
    parameter: Parameter, routes: ParameterRoutes, clock: MovableClock
) -> None:
    assert routes() == default_routes("own")
    assert routes() == default_routes("own")
    assert parameter.reads == 1
    parameter.declare("all")
    clock.now += 60
    assert routes().match("any", "a") == Options(route="all")


@pytest.mark.parametrize("text", ["no JSON", "[]", '[{"name": "a"}]'])
def test_a_broken_declaration_names_the_parameter_and_is_an_error_every_time(
    parameter: Parameter, routes: ParameterRoutes, clock: MovableClock, text: str
) -> None:
    parameter.declare("good")
    routes()
    parameter.put(text)
    clock.now += 60
    for _ in range(2):
        with pytest.raises(BrokenRoutesError, match=PARAMETER) as broken:
            routes()
        # The intake keeps what is rejected as somebody's bad event: this is nobody's.
        assert not isinstance(broken.value, RejectedError)
    parameter.declare("mended")
    assert routes().match("any", "a") == Options(route="mended")


def test_a_parameter_that_can_not_be_read_is_an_error_and_no_default(
    parameter: Parameter, routes: ParameterRoutes, clock: MovableClock
) -> None:
    parameter.declare("good")
    routes()
    clock.now += 60
    parameter.failure = ThrottledError("GetParameter: ThrottlingException: later")
    with pytest.raises(ThrottledError):
        routes()
    parameter.failure = None
    assert routes().match("any", "a") == Options(route="good")


def test_read_as_it_is(parameter: Parameter) -> None:
    assert read_declaration(parameter.ssm, PARAMETER) is None
    assert read_routes(parameter.ssm, PARAMETER) is None
    parameter.put("no JSON")
    assert read_declaration(parameter.ssm, PARAMETER) == "no JSON"
