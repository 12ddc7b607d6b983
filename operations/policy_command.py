"""The command `releases policy`: what a release may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from operations.declaring import Declaration, DeclarationError, declare, text_of
from operations.releases_command import POLICY
from signalbox.errors import RejectedError
from signalbox.packages.advice import command
from signalbox.packages.aws_policy import read_policy
from signalbox.packages.policy import Policy, parse_policy

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_ssm import SSMClient

    from operations.stacks import Stack

ABOUT = "What a release of a package may be: make releases ARGS=policy"
SHORTER = "Join patterns, and leave out what is as by default."
FIELDS = 'All fields: make releases ARGS="policy default"; what each may be: docs/packages.md, Policy.'


def default() -> int:
    """Prints the policy that holds where none is declared, as a file to begin with."""
    print(_json(Policy()))
    return 0


def check(path: Path) -> int:
    """Reads a file of a policy."""
    _read(path)
    print(f"{path} is a policy.")
    return 0


def show(stack: Stack, ssm: SSMClient) -> int:
    """Prints the policy that the stack goes by, in full."""
    parameter = stack.output(POLICY)
    declared = read_policy(ssm, parameter)
    how = "as declared in" if declared else "by default, since there is no"
    print(f"What holds {how} {parameter}:")
    print(_json(declared or Policy()))
    return 0


def put(path: Path, stack: Stack, ssm: SSMClient, *, execute: bool) -> int:
    """Shows what would change, and declares it where it is to be done."""
    _read(path)
    declaration = Declaration(path, stack.output(POLICY), ABOUT, SHORTER)
    if declare(declaration, ssm, execute=execute):
        print(f"{declaration.parameter} is written. Within a minute releases are judged by it.")
        print(f"To judge one anew that was refused: {command(stack.name, 'retry', 'KEY', '--yes')}")
    return 0


def _read(path: Path) -> Policy:
    try:
        return parse_policy(text_of(path))
    except RejectedError as error:
        raise DeclarationError(f"{path}: {error}. {FIELDS}") from error


def _json(policy: Policy) -> str:
    return msgspec.json.format(msgspec.json.encode(policy, order="deterministic"), indent=2).decode()
