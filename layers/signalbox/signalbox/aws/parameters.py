"""Declarations in SSM parameters, as they are: what they come to, their readers say."""

from typing import TYPE_CHECKING

from signalbox.aws.calls import call
from signalbox.errors import NotFoundError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

REMEMBERED_SECONDS = 60.0
"""How long an execution environment goes by a declaration that it has read."""


def read_declaration(ssm: "SSMClient", parameter: str) -> str | None:
    """The parameter's text; None where it does not exist."""
    try:
        return call(ssm.get_parameter, Name=parameter)["Parameter"]["Value"]
    except NotFoundError:
        return None


def read_declarations(ssm: "SSMClient", path: str) -> dict[str, str]:
    """The texts of the parameters right below a path, by what their names have beyond it.

    Ten a call (GetParametersByPath, Systems Manager API Reference).
    """
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
    answers = call(lambda: [each for page in pages for each in page["Parameters"]])
    return {each["Name"].removeprefix(path): each["Value"] for each in answers}
