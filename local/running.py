"""The copy that `make up` leaves running: the embedded AWS, stack and fleet, described in .local/env."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import fleet, teams
from local.deployment import deploy
from local.embedded import EmbeddedAws, end_all
from local.processes import locked
from local.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from local.deployment import Deployment
    from local.settings import LocalSettings


@dataclass(frozen=True, slots=True)
class Running:
    """What `up` found or made. `started` is False when it already ran."""

    aws: EmbeddedAws
    deployment: Deployment
    fleet: fleet.Fleet
    started: bool


def up(
    settings: LocalSettings, report: Callable[[str], None], overrides: Mapping[str, str] | None = None
) -> Running:
    """Makes everything run and be up to date. What this call started it stops again if the rest fails.

    Args:
        overrides: of `deploy`.
    """
    with locked(settings.state):
        return _up(settings, report, overrides)


def _up(
    settings: LocalSettings, report: Callable[[str], None], overrides: Mapping[str, str] | None
) -> Running:
    attached = EmbeddedAws.attach(settings.state)
    if attached is None:
        report("Starting the embedded AWS")
    aws = attached or EmbeddedAws.start(
        settings.state,
        spine_port=settings.spine_port,
        estate_port=settings.estate_port,
        codeartifact_port=settings.codeartifact_port,
        tethered=False,
    )
    try:
        deployment = deploy(aws, overrides=overrides, report=report)
        report("Making sure of the demo fleet")
        made = fleet.create(aws)
        report("Making sure of the demo teams and their packages")
        teams.create(Workshop(aws, deployment.outputs))
        write_environment(settings.env_file, environment(aws, deployment.outputs))
    except BaseException:
        if attached is None:
            aws.stop()
        raise
    return Running(aws, deployment, made, started=attached is None)


def down(settings: LocalSettings, *, every: bool = False) -> list[Path]:
    """Stops what runs from the state folder, or, with `every`, from any folder below it too. Says which."""
    records = settings.state.rglob("processes/*.json") if every else ()
    states = {settings.state, *(record.parent.parent for record in records)}
    stopped = [state for state in sorted(states) if end_all(state)]
    settings.env_file.unlink(missing_ok=True)
    return stopped


def environment(aws: EmbeddedAws, outputs: Mapping[str, str]) -> dict[str, str]:
    """What a script or the AWS CLI needs to talk to the running copy and to find the stack's parts."""
    return {
        **aws.environment(),
        "ESTATE_ENDPOINT_URL": aws.estate_url,
        **{f"STACK_{key}": value for key, value in sorted(outputs.items())},
    }


def write_environment(path: Path, values: Mapping[str, str]) -> None:
    """KEY=VALUE lines, as shells, make and dotenv readers take them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))


def read_environment(path: Path) -> dict[str, str]:
    """What write_environment wrote; empty if nothing runs."""
    if not path.exists():
        return {}
    lines = (shlex.split(line) for line in path.read_text().splitlines())
    return dict(line[0].split("=", 1) for line in lines if line)
