"""The command `releases owners`: whose packages are whose."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.markup import escape

from local.display import table, terminal
from operations.declaring import Declaration, DeclarationError, declare, text_of
from operations.releases_command import OWNERS
from signalbox.aws.parameters import read_declarations
from signalbox.errors import RejectedError
from signalbox.packages.advice import command
from signalbox.packages.alerts import NOBODY
from signalbox.packages.owners import Owners, parse_owner

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_ssm import SSMClient

    from operations.stacks import Stack
    from signalbox.packages.owners import Owner

NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""What a part of a parameter's name may be (PutParameter, Systems Manager API Reference)."""
ABOUT = "Whose packages these are: make releases ARGS=owners"
SHORTER = "Join patterns with a star: npm/acme/*."
FIELDS = "What each field may be: docs/packages.md, Owners."
ONE_EACH = "Take the pattern from one of them, or remove that one (docs/packages.md, Owners)."


def list_owners(stack: Stack, ssm: SSMClient) -> int:
    """Shows all of them, also one whose declaration makes no sense; 1 where there is such a one."""
    path = stack.output(OWNERS)
    rows = table("owner", "packages", "project", "contact", "what is wrong")
    declared = read_declarations(ssm, path)
    good = []
    for name, text in sorted(declared.items()):
        owner = _parsed(name, text)
        if isinstance(owner, RejectedError):
            rows.add_row(escape(name), "-", "-", "-", escape(str(owner)), style="red")
            continue
        good.append(owner)
        said = owner.declared
        packages = escape("\n".join(said.packages))
        rows.add_row(escape(name), packages, escape(said.project) or "-", escape(said.contact) or "-", "")
    if not declared:
        named = command(stack.name, "owners", "put", "OWNER", "FILE", "--yes")
        print(f"There are none below {path}. Name one: {named}")
        return 0
    terminal().print(rows)
    together = _together(good)
    if together:
        print(f"{together}. {ONE_EACH}")
    return 1 if together or len(good) < len(declared) else 0


def check(path: Path) -> int:
    """Reads a file of an owner."""
    owner = _read("this", path)
    project = owner.declared.project or "none: nothing builds these packages"
    print(f"{path} is an owner of {', '.join(owner.declared.packages)}. Project: {project}.")
    return 0


def put(name: str, path: Path, stack: Stack, ssm: SSMClient, *, execute: bool) -> int:
    """Shows what would change, and declares it where it is to be done."""
    if not NAME.fullmatch(name) or name == NOBODY:
        raise DeclarationError(
            f"{name!r} can't be an owner: use letters, digits, dots and dashes; {NOBODY} is none, either."
        )
    owner = _read(name, path)
    place = stack.output(OWNERS)
    others = (_parsed(*each) for each in read_declarations(ssm, place).items() if each[0] != name)
    together = _together([owner, *(each for each in others if not isinstance(each, RejectedError))])
    if together:
        raise DeclarationError(f"{path}: {together}. Nothing was changed. {ONE_EACH}")
    declaration = Declaration(path, f"{place}{name}", ABOUT, SHORTER)
    if declare(declaration, ssm, execute=execute):
        print(f"{declaration.parameter} is written. Within a minute releases are planned and told by it.")
    return 0


def _read(name: str, path: Path) -> Owner:
    try:
        return parse_owner(name, text_of(path))
    except RejectedError as error:
        raise DeclarationError(f"{path}: {error}. {FIELDS}") from error


def _parsed(name: str, text: str) -> Owner | RejectedError:
    try:
        return parse_owner(name, text)
    except RejectedError as error:
        return error


def _together(owners: list[Owner]) -> str:
    """What is wrong about all of them; "" where nothing is."""
    try:
        Owners(owners)
    except RejectedError as error:
        return error.what
    return ""
