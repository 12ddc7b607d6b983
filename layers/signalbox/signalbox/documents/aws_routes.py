"""The routes as an SSM parameter holds them."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from signalbox.aws.parameters import REMEMBERED_SECONDS, read_declaration
from signalbox.aws.remembering import Remembering
from signalbox.clock import Clock
from signalbox.documents.routes import Routes, default_routes, parse_routes, sparing
from signalbox.errors import RejectedError, SignalboxError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class BrokenRoutesError(SignalboxError):
    """The declaration makes no sense. Names the parameter; nothing can be routed until it is mended."""

    code = "broken-routes"


class ParameterRoutes:
    """The routes of one parameter, read once in `REMEMBERED_SECONDS`; the default where there is none.

    A declaration that can't be read, or makes no sense, is an error every time, also where an earlier one is
    remembered: environments would otherwise go by different routes for as long as they live, and somebody's
    documents through a route that was taken away. Messages wait in the queue meanwhile.

    Args:
        bucket: the stack's own, for the default.
        work_bucket: out of which no route takes anything, whatever is declared.
    """

    def __init__(self, ssm: "SSMClient", parameter: str, bucket: str, work_bucket: str, clock: Clock) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._default = default_routes(bucket)
        self._work_bucket = work_bucket
        self._remembering = Remembering(self._read, REMEMBERED_SECONDS, clock)

    def __call__(self) -> Routes:
        """The routes that hold now.

        Raises:
            BrokenRoutesError: the parameter holds something else than routes.
            SignalboxError: SSM did not answer, or refused.
        """
        return self._remembering([self._parameter]).get(self._parameter, self._default)

    def _read(self, names: Collection[str]) -> dict[str, Routes]:
        read = {name: read_routes(self._ssm, name) for name in names}
        return {name: sparing(routes, self._work_bucket) for name, routes in read.items() if routes}


def read_routes(ssm: "SSMClient", parameter: str) -> Routes | None:
    """What the parameter declares; None where it does not exist. Errors as of `ParameterRoutes`."""
    text = read_declaration(ssm, parameter)
    if text is None:
        return None
    try:
        return parse_routes(text)
    except RejectedError as error:
        advice = 'mend the file and put it: make routes ARGS="put FILE --yes"'
        raise BrokenRoutesError(f"the routes in SSM parameter {parameter}: {error}; {advice}") from error
