"""Declarations that a stack goes by: JSON files of a person's, kept in parameters of Systems Manager."""

from __future__ import annotations

from difflib import unified_diff
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from signalbox.aws.calls import call
from signalbox.aws.parameters import read_declaration

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_ssm import SSMClient

MOST_CHARACTERS = 8 * 1_024
"""Of an advanced parameter ("Managing parameter tiers", Systems Manager User Guide)."""


class DeclarationError(Exception):
    """The file can't be declared; says what to change in it."""


class Declaration(NamedTuple):
    """A file, and the parameter that is to hold it.

    Attributes:
        about: what the parameter is, and the command that writes it.
        shorter: how to say the same with fewer characters.
    """

    path: Path
    parameter: str
    about: str
    shorter: str


def text_of(path: Path) -> str:
    """What is in the file. Raises DeclarationError where it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise DeclarationError(f"{path} can't be read: {_said(error)}") from error


def _said(error: OSError | UnicodeError) -> str:
    return f"it is no text in UTF-8 ({error})" if isinstance(error, UnicodeError) else str(error.strerror)


def declare(declaration: Declaration, ssm: SSMClient, *, execute: bool) -> bool:
    """Shows what would change, and writes the parameter where it is to be done; whether it was written.

    The file is one that was found to make sense.
    """
    path, parameter = declaration.path, declaration.parameter
    text = text_of(path)
    before, after = _lines(read_declaration(ssm, parameter)), _lines(text)
    if before == after:
        print(f"{parameter} says so already.")
        return False
    print("\n".join(unified_diff(before, after, f"{parameter} now", str(path), lineterm="")))
    if not execute:
        print("Nothing was changed. To do it, say the same again with --yes.")
        return False
    _write(declaration, _compact(text, declaration), ssm)
    return True


def _compact(text: str, declaration: Declaration) -> str:
    made = msgspec.json.format(text, indent=-1)
    if len(made) > MOST_CHARACTERS:
        raise DeclarationError(
            f"{declaration.path} comes to {len(made):,} characters; a parameter holds {MOST_CHARACTERS:,}. "
            + declaration.shorter
        )
    return made


def _write(declaration: Declaration, text: str, ssm: SSMClient) -> None:
    """Larger than 4 KB it becomes an advanced parameter, which costs some cents a month."""
    call(
        ssm.put_parameter,
        Name=declaration.parameter,
        Description=declaration.about,
        Value=text,
        Type="String",
        Overwrite=True,
        Tier="Intelligent-Tiering",
    )


def _lines(text: str | None) -> list[str]:
    """What is there, whether it makes sense or not."""
    if text is None:
        return []
    try:
        return msgspec.json.format(text, indent=2).splitlines()
    except msgspec.DecodeError:
        return text.splitlines()
