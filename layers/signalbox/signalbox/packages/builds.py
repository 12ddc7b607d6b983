"""What a build is told, and how it ended. Pure.

Source of the event: "Build notifications sample for CodeBuild", AWS CodeBuild User Guide.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from signalbox.errors import RejectedError
from signalbox.eventbridge import Envelope, parser_of, read_detail
from signalbox.packages.entries import Entry, Purpose
from signalbox.packages.releases import (
    BuildClaimed,
    BuildEnded,
    BuildStarted,
    Progress,
    Release,
    StartBuild,
    advance,
    due,
)

TOKEN_VARIABLE = "SIGNALBOX_TOKEN"  # noqa: S105 - a name
"""The environment variable by which a build is found again."""
BUILD_ARN = re.compile(r"arn:[a-z-]+:codebuild:[a-z0-9-]+:\d{12}:build/(?P<id>[^/:]+:[^/:]+)")
TIME = "%b %d, %Y %I:%M:%S %p"
"""As in ``Sep 1, 2017 4:14:26 PM``; UTC."""
RUNNING = "IN_PROGRESS"
WHY_CHARACTERS = 500
"""Of what CodeBuild says about a failed phase: a release keeps it for each of its builds."""

type Outcome = Literal[Progress.SUCCEEDED, Progress.FAILED, Progress.STOPPED]

OUTCOMES: dict[str, Outcome] = {
    "SUCCEEDED": Progress.SUCCEEDED,
    "FAILED": Progress.FAILED,
    "FAULT": Progress.FAILED,
    "TIMED_OUT": Progress.FAILED,
    "STOPPED": Progress.STOPPED,
}
"""By StatusType (CodeBuild API Reference); the other one is `RUNNING`."""
SAID = {"FAILED": "failed", "FAULT": "had a fault", "TIMED_OUT": "ran out of time", "STOPPED": "was stopped"}


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a build ended.

    Attributes:
        ended_at: seconds since 1970.
        seconds: from its begin, its queue included; None where nobody says.
        why: for a person, where it did not go well.
    """

    id: str
    outcome: Outcome
    ended_at: float
    seconds: float | None = None
    why: str = ""


class Built(msgspec.Struct, frozen=True):
    """A build that was started, and its end if it has ended."""

    id: str
    end: End | None = None


class Phase(msgspec.Struct, frozen=True):
    """A part of a build: its type and its status, and what CodeBuild says about it."""

    type: str
    status: str
    contexts: tuple[str, ...] = ()


class _Phase(msgspec.Struct, rename="kebab"):
    phase_type: str = ""
    phase_status: str = ""
    phase_context: Any = ()
    end_time: str = ""


class _Logs(msgspec.Struct, rename="kebab"):
    deep_link: str | None = None


class _About(msgspec.Struct, rename="kebab"):
    build_start_time: str = ""
    logs: _Logs = msgspec.field(default_factory=_Logs)
    phases: tuple[_Phase, ...] = ()


class _Detail(msgspec.Struct, rename="kebab"):
    build_id: str
    build_status: str
    additional_information: Any = None


def parse_end(envelope: Envelope) -> End | None:
    """The end of which a ``CodeBuild Build State Change`` tells; None where the build runs.

    Only which build it is and how it ended must make sense: the rest is for a person.

    Raises:
        RejectedError: ``unexpected-event`` or ``malformed``.
    """
    return parser_of(envelope, {("aws.codebuild", "CodeBuild Build State Change"): _parse})(envelope)


def _parse(envelope: Envelope) -> End | None:
    detail = read_detail(envelope, _Detail)
    arn = BUILD_ARN.fullmatch(detail.build_id)
    if arn is None:
        raise RejectedError(
            "malformed", "$.detail.build-id", f"{detail.build_id!r} is no ARN of a CodeBuild build"
        )
    if detail.build_status == RUNNING:
        return None
    if detail.build_status not in OUTCOMES:
        what = f"{detail.build_status!r} is none of {', '.join((RUNNING, *OUTCOMES))}"
        raise RejectedError("malformed", "$.detail.build-status", what)
    about = _about(detail.additional_information)
    ended = max(map(_time, (phase.end_time for phase in about.phases)), default=0.0) or envelope.occurred_at
    begun = _time(about.build_start_time)
    phases = [Phase(each.phase_type, each.phase_status, _texts(each.phase_context)) for each in about.phases]
    return End(
        id=arn["id"],
        outcome=OUTCOMES[detail.build_status],
        ended_at=ended,
        seconds=max(ended - begun, 0.0) if begun else None,
        why=why(arn["id"], detail.build_status, phases, about.logs.deep_link),
    )


def _about(told: Any) -> _About:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(told, _About)
    return _About()


def _time(text: str) -> float:
    """Seconds since 1970, or 0 where it is no such time."""
    try:
        return datetime.strptime(" ".join(text.split()), TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _texts(context: Any) -> tuple[str, ...]:
    return tuple(each for each in context if isinstance(each, str)) if isinstance(context, list) else ()


def why(build: str, status: str, phases: Iterable[Phase], logs: str | None) -> str:
    """Why a build did not go well: a sentence, and where its log is. "" of one that did.

    Args:
        build: its id.
        status: StatusType, CodeBuild API Reference.
        phases: in their order. The first that did not go well is the one to look at.
        logs: a link, if there is one.
    """
    if status not in SAID:
        return ""
    phase = next((each for each in phases if each.status in SAID), None)
    place = f" in phase {phase.type}" if phase else ""
    told = " ".join(" ".join(phase.contexts).split()).strip(": ") if phase else ""
    said = f": {told[:WHY_CHARACTERS]}" if told else ""
    return f"build {build} {SAID[status]}{place}{said}{'' if said.endswith('.') else '.'}" + (
        f" Its log: {logs}" if logs else ""
    )


def environment(entry: Entry, build: StartBuild, domain: str, owner: str) -> dict[str, str]:
    """What a build is told, beside its project's own variables. The same each time it is asked.

    Args:
        domain: the CodeArtifact domain.
        owner: its account.
    """
    version = entry.package_version
    return {
        "SIGNALBOX_RELEASE": entry.release.version,
        "SIGNALBOX_ROUND": str(entry.release.round),
        "SIGNALBOX_PACKAGE": build.package,
        "SIGNALBOX_ATTEMPT": str(build.attempt),
        TOKEN_VARIABLE: build.token,
        "PACKAGE_DOMAIN": domain,
        "PACKAGE_DOMAIN_OWNER": owner,
        "PACKAGE_REPOSITORY": entry.repository,
        "PACKAGE_FORMAT": version.package.format,
        "PACKAGE_NAMESPACE": version.package.namespace,
        "PACKAGE_NAME": version.package.name,
        "PACKAGE_VERSION": version.version,
    }


def claim(entry: Entry, now: float, lease: float, at_most: int) -> tuple[Entry, tuple[StartBuild, ...]]:
    """Claims what is due while somebody waits for the wave: nobody else starts it for ``lease`` seconds."""
    if entry.waiting is None or entry.has_waited:
        return entry, ()
    release = entry.release
    builds = tuple(each for each in due(release, now, at_most) if isinstance(each, StartBuild))
    for each in builds:
        told = BuildClaimed(release.round, each.package, each.attempt, now, now + lease)
        release = advance(release, told)
    return _with(entry, release), builds


def take_in(entry: Entry, ends: Iterable[tuple[Purpose, End]]) -> tuple[Entry, tuple[End, ...]]:
    """The release when these ends are known, and those of them that said something new."""
    news = []
    for purpose, end in ends:
        told = BuildEnded(purpose.round, purpose.package, purpose.attempt, end.id, end.outcome)
        after = advance(entry.release, told)
        if after is not entry.release:
            troubles = {name: text for name, text in entry.troubles.items() if name != purpose.package}
            if end.outcome is not Progress.SUCCEEDED:
                troubles[purpose.package] = end.why
            entry = msgspec.structs.replace(entry, release=after, troubles=troubles)
            news.append(end)
    return entry, tuple(news)


def note(entry: Entry, builds: Iterable[tuple[Purpose, Built]]) -> tuple[Entry, tuple[End, ...]]:
    """The release when these builds are known to be started, or ended by now; and as `take_in`."""
    ends = []
    for purpose, built in builds:
        if built.end is not None:
            ends.append((purpose, built.end))
            continue
        told = BuildStarted(purpose.round, purpose.package, purpose.attempt, built.id)
        entry = _with(entry, advance(entry.release, told))
    return take_in(entry, ends)


def _with(entry: Entry, release: Release) -> Entry:
    return entry if release is entry.release else msgspec.structs.replace(entry, release=release)
