"""A deployed stack: where its queues are, what its parameters say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from signalbox.aws.calls import call, code_of
from signalbox.errors import AccessDeniedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_cloudformation import CloudFormationClient


class StackError(Exception):
    """The stack is not there, or not one of ours; says what to look at."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One deployed stack."""

    cloudformation: CloudFormationClient
    name: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @classmethod
    def find(cls, cloudformation: CloudFormationClient, name: str) -> Self:
        """Raises StackError where there is none of this name in the credentials' account and the Region."""
        try:
            [found] = call(cloudformation.describe_stacks, StackName=name)["Stacks"]
        except AccessDeniedError:
            raise
        except RefusedError as error:
            if code_of(error) != "ValidationError":
                raise
            raise StackError(
                f"There is no stack {name} in {cloudformation.meta.region_name}, or not in this account. "
                "Check --stack, AWS_REGION and AWS_PROFILE."
            ) from error
        given = {p["ParameterKey"]: p.get("ParameterValue", "") for p in found.get("Parameters", [])}
        said = {o["OutputKey"]: o.get("OutputValue", "") for o in found.get("Outputs", [])}
        return cls(cloudformation, name, given, said)

    @property
    def region(self) -> str:
        return self.cloudformation.meta.region_name

    def queue_url(self, logical_id: str) -> str:
        """Raises StackError where the stack has no such queue."""
        try:
            answer = call(
                self.cloudformation.describe_stack_resource,
                StackName=self.name,
                LogicalResourceId=logical_id,
            )
        except AccessDeniedError:
            raise
        except RefusedError as error:
            raise StackError(
                f"Stack {self.name} has no {logical_id}: is it Signalbox's, and of this version?"
            ) from error
        return answer["StackResourceDetail"]["PhysicalResourceId"]

    def seconds(self, parameter: str) -> float:
        """A parameter of the stack that is a number of seconds."""
        try:
            return float(self.parameters[parameter])
        except (KeyError, ValueError) as error:
            raise StackError(
                f"Stack {self.name} has no parameter {parameter}: is it Signalbox's, and of this version?"
            ) from error

    def output(self, name: str) -> str:
        """Raises StackError where the stack says no such thing."""
        if name not in self.outputs:
            raise StackError(
                f"Stack {self.name} has no output {name}: is it Signalbox's, and of this version?"
            )
        return self.outputs[name]
