"""The commands `routes check`, `show` and `put`: what is declared, what it comes to, and declaring it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from local.display import table, terminal
from local.progress import Steps
from operations.declaring import Declaration, DeclarationError, declare, text_of
from operations.hearing import Hearing
from signalbox.documents.aws_routes import read_routes
from signalbox.documents.globs import UndecidedError
from signalbox.documents.models import Options
from signalbox.documents.routes import default_routes, findings, parse_routes, reach, sparing
from signalbox.errors import RejectedError

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_ssm import SSMClient

    from operations.stacks import Stack
    from signalbox.documents.routes import Finding, Route, Routes

PARAMETER, BUCKET = "DocumentsRoutesParameter", "DocumentsBucketName"
WORK_BUCKET = "DocumentsWorkBucketName"
"""Outputs of the stack."""
SHORTER = "Join routes with braces: *.{pdf,docx}."
MEANINGS = {
    "overlap": "both match; the earlier one has it",
    "unreachable": "the earlier ones take all that it matches",
    "undecided": "too involved to tell: make the patterns simpler",
}


def check(path: Path) -> int:
    """Shows what the file's routes come to; 1 where one of them can't be reached."""
    return 0 if _shown(_read(path)) else 1


def routes_of(stack: Stack, ssm: SSMClient) -> Routes:
    """Those that the stack goes by. What it makes itself, none of them takes."""
    declared = read_routes(ssm, stack.output(PARAMETER)) or default_routes(stack.output(BUCKET))
    return sparing(declared, stack.output(WORK_BUCKET))


def show(stack: Stack, ssm: SSMClient) -> int:
    """Shows the routes that the stack goes by."""
    declared = read_routes(ssm, stack.output(PARAMETER))
    how = "as declared in" if declared else "by default, since there is no"
    print(f"What holds {how} {stack.output(PARAMETER)}:")
    routes = declared or default_routes(stack.output(BUCKET))
    good = _shown(routes)
    print("\n".join(Hearing.of(stack).deaf_routes(routes)))
    return 0 if good else 1


def put(path: Path, stack: Stack, ssm: SSMClient, *, execute: bool) -> int:
    """Shows what would change, and declares it where it is to be done."""
    if not _shown(routes := _read(path)):
        raise DeclarationError(f"{path}: take out or move up what can't be reached. Nothing was changed.")
    print("\n".join(Hearing.of(stack).deaf_routes(routes)))
    declaration = Declaration(
        path, stack.output(PARAMETER), "Which objects are indexed, and how: make routes", SHORTER
    )
    if declare(declaration, ssm, execute=execute):
        print(f"{declaration.parameter} is written.")
        print("Within a minute all functions go by it; a backfill redoes what is there.")
    return 0


def _read(path: Path) -> Routes:
    try:
        return parse_routes(text_of(path))
    except RejectedError as error:
        raise DeclarationError(f"{path}: {error}") from error


def _shown(routes: Routes) -> bool:
    """Prints them with what stands in their way; whether each can be reached."""
    rows = table("route", "pipeline", "buckets", "keys", "options", "gets, for example")
    with Steps() as step:
        step(f"Comparing {len(routes.all)} routes")
        found = findings(routes)
        for number, route in enumerate(routes.all):
            rows.add_row(
                route.name,
                route.pipeline,
                escape(route.bucket.text),
                escape(route.key.text),
                _options(route),
                escape(_example(routes, number)),
            )
    terminal().print(rows)
    if found:
        terminal().print(_findings(found))
    return all(each.kind != "unreachable" for each in found)


def _findings(found: list[Finding]) -> object:
    rows = table("route", "finding", "with", "for example", "what it means", title="In each other's way")
    for each in found:
        rows.add_row(
            each.route,
            each.kind,
            ", ".join(each.others),
            escape(str(each.example or "-")),
            MEANINGS[each.kind],
        )
    return rows


def _options(route: Route) -> str:
    """Those that differ from the default."""
    if route.pipeline == "ignore":
        return "-"
    usual = Options(route=route.name)
    said = [
        f"{name}={getattr(route.options, name)}"
        for name in Options.__struct_fields__
        if getattr(route.options, name) != getattr(usual, name)
    ]
    return ", ".join(said) or "-"


def _example(routes: Routes, number: int) -> str:
    try:
        return str(reach(routes, number) or "nothing")
    except UndecidedError:
        return "?"
