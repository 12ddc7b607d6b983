"""The policy as an SSM parameter holds it."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from signalbox.aws.parameters import REMEMBERED_SECONDS, read_declaration
from signalbox.aws.remembering import Remembering
from signalbox.clock import Clock
from signalbox.errors import RejectedError, SignalboxError
from signalbox.packages.policy import Policy, parse_policy

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class BrokenPolicyError(SignalboxError):
    """The declaration makes no sense. Names the parameter; nothing is judged until it is mended."""

    code = "broken-policy"


class ParameterPolicy:
    """The policy of one parameter, read once in `REMEMBERED_SECONDS`; the default where there is none.

    One that makes no sense is an error every time, also where an earlier one is remembered: nothing is
    promoted by a policy that somebody wanted to be another.
    """

    def __init__(self, ssm: "SSMClient", parameter: str, clock: Clock) -> None:
        self._ssm = ssm
        self._parameter = parameter
        self._remembering = Remembering(self._read, REMEMBERED_SECONDS, clock)

    def __call__(self) -> Policy:
        """The policy that holds now.

        Raises:
            BrokenPolicyError: the parameter holds something else than a policy.
            SignalboxError: SSM did not answer, or refused.
        """
        return self._remembering([self._parameter]).get(self._parameter, Policy())

    def _read(self, names: Collection[str]) -> dict[str, Policy]:
        read = {name: read_policy(self._ssm, name) for name in names}
        return {name: policy for name, policy in read.items() if policy is not None}


def read_policy(ssm: "SSMClient", parameter: str) -> Policy | None:
    """What the parameter declares; None where it does not exist. Errors as of `ParameterPolicy`."""
    text = read_declaration(ssm, parameter)
    if text is None:
        return None
    try:
        return parse_policy(text)
    except RejectedError as error:
        advice = 'mend the file and put it: make releases ARGS="policy put FILE --yes"'
        raise BrokenPolicyError(f"the policy in SSM parameter {parameter}: {error}; {advice}") from error
