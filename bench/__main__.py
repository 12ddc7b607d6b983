"""What planning costs (`plan`), what cold starts (`start`), uploads (`upload`), conversions (`convert`),
objects on their way into the index (`index`) and releases of packages (`release`) take, and storms (`storm`).

Nothing leaves this machine. The figures are printed, and written to .local/bench.json with a name each;
docs/benchmarks.md and docs/cold-start.md say how to read them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from bench import (
    converting,
    indexing,
    parsing,
    plan,
    release_calls,
    releasing,
    report,
    start,
    start_report,
    uploading,
)
from bench.shape import BUCKETS, QUICK_BUCKETS, QUICK_SIZES, SIZES, Bucket, parse_size
from bench.storm import LEAD_SECONDS, WORKERS, Settings, grid, storms
from local.deployment import DeploymentError
from local.display import terminal
from local.processes import ProcessError
from local.progress import Steps
from local.settings import ROOT, LocalSettings, SettingsError
from signalbox.errors import SignalboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.outcome import Outcome

RESULT = ROOT / ".local" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        _measure(options)
    except SettingsError as error:
        return _complain(str(error), 2)
    except subprocess.SubprocessError as error:
        return _complain(f"bench failed: {error}\n{getattr(error, 'stderr', '') or ''}", 1)
    except (
        DeploymentError,
        ProcessError,
        start.StartError,
        BotoCoreError,
        ClientError,
        SignalboxError,
    ) as error:
        return _complain(f"bench failed: {error}", 1)
    except KeyboardInterrupt:
        return _complain("bench: interrupted", 130)
    return 0


def _complain(text: str, status: int) -> int:
    Console(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("plan", "start", "storm", "upload", "convert", "index", "release", "all"),
        default="all",
        help="plan (seconds), release, upload (under a minute), convert, index, start (minutes each),"
        " storm (a quarter of an hour), or all, the default",
    )
    parser.add_argument(
        "--quick", action="store_true", help="100 and 1,000 warnings, one bucket: about 4 minutes"
    )
    parser.add_argument(
        "--full", action="store_true", help="both algorithms meet every size in every bucket: half an hour"
    )
    parser.add_argument(
        "--sizes",
        type=_list_of(parse_size),
        metavar="N,N",
        help=f"warnings of a storm (default: {','.join(map(str, SIZES))})",
    )
    parser.add_argument(
        "--buckets",
        type=_list_of(Bucket.parse),
        metavar="N/N,N/N",
        help="assumed sizes and refills of Auto Scaling's bucket, which AWS does not publish "
        f"(default: {','.join(map(str, BUCKETS))})",
    )
    parser.add_argument(
        "--lead",
        type=int,
        default=LEAD_SECONDS,
        choices=range(5, 111),
        metavar="SECONDS",
        help="SpotCommandLeadSeconds, 5 to 110 (default: %(default)s, to save time)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=WORKERS,
        choices=range(1, 201),
        metavar="N",
        help="of the one-by-one algorithm at once, 1 to 200 (default: %(default)s)",
    )
    parser.add_argument("--cold", action="store_true", help="don't warm the stack's functions up before")
    parser.add_argument("--output", type=Path, default=RESULT, help="default: .local/bench.json")
    return parser


def _list_of[T](parse: Callable[[str], T]) -> Callable[[str], list[T]]:
    """A type of argument: several, between commas, each once, the smallest first where that says anything."""

    def parse_all(text: str) -> list[T]:
        return list(dict.fromkeys(parse(part.strip()) for part in text.split(",")))

    return parse_all


def _measure(options: argparse.Namespace) -> None:
    sizes = sorted(options.sizes or (QUICK_SIZES if options.quick else SIZES))
    buckets = options.buckets or (QUICK_BUCKETS if options.quick else BUCKETS)
    settings = Settings(options.lead, options.workers, options.cold)
    console = Console(stderr=True, highlight=False)
    planned: list[plan.Planned] = []
    costs: list[parsing.Cost] = []
    outcomes: list[Outcome] = []
    starts: list[start.Start] = []

    def done(outcome: Outcome) -> None:
        outcomes.append(outcome)
        console.print(f"  [dim]{_line(outcome)}[/]", soft_wrap=True)

    with Steps(console) as step:
        if options.what in {"start", "all"}:
            starts = start.measure(step)
        if options.what in {"plan", "all"}:
            for size in sizes:
                step(f"Planning a window of {size:,}")
                planned.append(plan.measure(size))
                costs.append(parsing.measure_apart(size))
        uploads = _uploads(options, step)
        sandboxed, libraries = _conversions(options, step)
        indexed = _indexing(options, step)
        releases, asked = _releases(options, step)
        if options.what in {"storm", "all"}:
            runs = grid(sizes, buckets, full=options.full)
            storms(LocalSettings.from_env().state / "bench", runs, settings, step, done)
    _show(planned, costs, outcomes, settings)
    found = report.document(planned, costs, outcomes, settings if outcomes else None)
    if starts:
        _show_starts(starts)
        found["results"] |= dict(start_report.results(starts))
        found["starts"] = starts
    _show_uploads(uploads)
    found["results"] |= dict(uploading.results(uploads))
    _show_conversions(sandboxed, libraries)
    found["results"] |= dict(converting.results(sandboxed, libraries))
    _show_indexing(indexed)
    found["results"] |= dict(indexing.results(indexed))
    _show_releases(releases, asked)
    found["results"] |= dict(releasing.results(releases)) | dict(release_calls.results(asked))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    console.print(f"Named results: {options.output}", soft_wrap=True)


def _uploads(options: argparse.Namespace, step: Steps) -> list[uploading.Timed]:
    return uploading.measure(step) if options.what in {"upload", "all"} else []


def _conversions(
    options: argparse.Namespace, step: Steps
) -> tuple[list[converting.Sandboxed], list[converting.Read]]:
    return converting.measure(step) if options.what in {"convert", "all"} else ([], [])


def _indexing(options: argparse.Namespace, step: Steps) -> list[indexing.Indexed]:
    state = LocalSettings.from_env().state / "bench"
    return indexing.measure(step, state) if options.what in {"index", "all"} else []


def _releases(
    options: argparse.Namespace, step: Steps
) -> tuple[list[releasing.Cost], list[release_calls.Asked]]:
    if options.what not in {"release", "all"}:
        return [], []
    costs = []
    for graph in releasing.GRAPHS:
        step(f"Planning a release among {graph.packages:,} packages, {graph.affected:,} of them affected")
        costs.append(releasing.measure_apart(graph))
    step("Releasing a version: every call counted")
    return costs, [release_calls.measure_apart(releasing.GRAPHS[0])]


def _line(outcome: Outcome) -> str:
    named = outcome.named()
    return (
        f"{outcome.total:,} calls, {named['throttled']:,} throttled; in time: detached"
        f" {named['detached_in_time_share']:.1%}, commanded {named['commanded_in_time_share']:.1%};"
        f" notice to detachment p99 {named['notice_to_detach_p99_seconds']:.1f} s"
    )


def _show(
    planned: Sequence[plan.Planned],
    costs: Sequence[parsing.Cost],
    outcomes: Sequence[Outcome],
    settings: Settings,
) -> None:
    console = terminal()
    if planned:
        console.print(report.plan_table(planned, costs))
    if outcomes:
        console.print(report.storm_table(outcomes))
        console.print(report.operations_table(outcomes))
        console.print(report.growth_table(outcomes))
        console.print(report.conditions(settings))


def _show_indexing(indexed: Sequence[indexing.Indexed]) -> None:
    if indexed:
        terminal().print(indexing.indexing_table(indexed))


def _show_releases(costs: Sequence[releasing.Cost], asked: Sequence[release_calls.Asked]) -> None:
    if costs:
        terminal().print(releasing.planning_table(costs))
    for each in asked:
        terminal().print(release_calls.calls_table(each))


def _show_uploads(uploads: Sequence[uploading.Timed]) -> None:
    if uploads:
        terminal().print(uploading.upload_table(uploads))


def _show_conversions(
    sandboxed: Sequence[converting.Sandboxed], libraries: Sequence[converting.Read]
) -> None:
    if sandboxed:
        terminal().print(converting.sandbox_table(sandboxed))
        terminal().print(converting.library_table(libraries))


def _show_starts(starts: Sequence[start.Start]) -> None:
    console = terminal()
    console.print(start_report.start_table(starts))
    console.print(start_report.explanation(starts))


if __name__ == "__main__":
    sys.exit(main())
