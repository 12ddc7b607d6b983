"""`python -m local trace`: where the time of a window went, from the segments that were sent."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.tree import Tree

from local.account import Account
from local.deployment import STACK, DeploymentError, outputs
from local.display import terminal
from local.embedded import EmbeddedAws
from local.settings import ACCOUNT, REGION, LocalSettings
from local.traces import Span, Traces
from signalbox.ledger.windows import Window
from signalbox.spot.intake import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = ("window", "execution", "group", "instance", "outcome")


def main(arguments: Sequence[str]) -> int:
    """Prints the traces; 1 where there is none, 2 where nothing runs."""
    options = _parser().parse_args(arguments)
    aws = EmbeddedAws.attach(LocalSettings.from_env().state)
    if aws is None:
        print("The embedded AWS is not running. Start it with `make up`.", file=sys.stderr)
        return 2
    try:
        windows = windows_of(options.what, Account(aws, outputs(aws)))
    except DeploymentError as error:
        print(error, file=sys.stderr)
        return 1
    traces = Traces(aws.segments(), nicknames(aws))
    found = list(dict.fromkeys(trace for window in windows for trace in traces.annotated(window=window)))
    if not found:
        print(
            f"No trace of {options.what}. A window has one, and an instance that was in a window: "
            "`make status` lists them. Only the newest segments are kept.",
            file=sys.stderr,
        )
        return 1
    if options.map:
        print(traces.service_map(*found).mermaid())
    else:
        for trace in found:
            for root in traces.roots(trace):
                terminal().print(tree(traces, root))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local trace",
        description="The traces of a window, or of the windows that an instance was in: every step and every "
        "AWS call with its duration.",
    )
    parser.add_argument("what", help="an instance's id, or a window: its number, or as `status` prints it")
    parser.add_argument("--map", action="store_true", help="who called whom, as a Mermaid flowchart")
    return parser


def windows_of(what: str, account: Account) -> list[str]:
    """The windows that a person means, as they are annotated."""
    if what.isdecimal():
        return [str(Window(DOMAIN, ACCOUNT, REGION, int(what)))]
    if what.startswith("i-"):
        return [str(window) for window in account.windows_of(what)]
    return [what]


def nicknames(aws: EmbeddedAws) -> dict[str, str]:
    """What the template calls the functions and state machines: physical name → logical id."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources")
    listed = (item for page in pages.paginate(StackName=STACK) for item in page["StackResourceSummaries"])
    return {item["PhysicalResourceId"].split(":")[-1]: item["LogicalResourceId"] for item in listed}


def tree(traces: Traces, root: Span) -> Tree:
    """The spans below one, each with its seconds after the root began, its duration and what it is about."""
    drawn = Tree(f"[bold]{root.trace}[/]")
    _grow(drawn, traces, root, root.start)
    return drawn


def _grow(drawn: Tree, traces: Traces, span: Span, began: float) -> None:
    about = " ".join(f"{name}={span.annotations[name]}" for name in SHOWN if span.annotations.get(name))
    name = f"[bold]{escape(span.name)}[/]" if span.service else escape(span.name)
    seconds = f"{span.seconds:.3f} s" if span.end else "open"
    branch = drawn.add(
        f"{name} [dim]+{span.start - began:.3f} s[/] {seconds} [cyan]{escape(about)}[/]",
        style="red" if span.failed else "",
    )
    for child in traces.children(span):
        _grow(branch, traces, child, began)
