"""The owners as SSM parameters hold them: one parameter an owner."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from signalbox.aws.parameters import REMEMBERED_SECONDS, read_declarations
from signalbox.aws.remembering import Remembering
from signalbox.clock import Clock
from signalbox.errors import RejectedError, SignalboxError
from signalbox.packages.owners import Owner, Owners, parse_owner

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ADVICE = 'mend the file and put it: make releases ARGS="owners put OWNER FILE --yes"'


class BrokenOwnersError(SignalboxError):
    """A declaration makes no sense. Names the parameter; nothing is planned until it is mended."""

    code = "broken-owners"


class ParameterOwners:
    """The owners declared below one path, read once in `REMEMBERED_SECONDS`; none where nothing is.

    One that makes no sense is an error every time: whose package it was about is not known.

    Args:
        path: ends with a slash; what a parameter's name has beyond it is the owner's name.
    """

    def __init__(self, ssm: "SSMClient", path: str, clock: Clock) -> None:
        self._ssm = ssm
        self._path = path
        self._remembering = Remembering(self._read, REMEMBERED_SECONDS, clock)

    def __call__(self) -> Owners:
        """The owners that hold now.

        Raises:
            BrokenOwnersError: a parameter holds something else than an owner, or two have the same pattern.
            SignalboxError: SSM did not answer, or refused.
        """
        return self._remembering([self._path])[self._path]

    def _read(self, paths: Collection[str]) -> dict[str, Owners]:
        return {path: read_owners(self._ssm, path) for path in paths}


def read_owners(ssm: "SSMClient", path: str) -> Owners:
    """Those declared below the path. Errors as of `ParameterOwners`."""
    declared = read_declarations(ssm, path)
    owners = [_owner(path, name, text) for name, text in sorted(declared.items())]
    try:
        return Owners(owners)
    except RejectedError as error:
        raise BrokenOwnersError(f"the owners in SSM parameters {path}*: {error}; {ADVICE}") from error


def _owner(path: str, name: str, text: str) -> Owner:
    try:
        return parse_owner(name, text)
    except RejectedError as error:
        raise BrokenOwnersError(f"the owner in SSM parameter {path}{name}: {error}; {ADVICE}") from error
