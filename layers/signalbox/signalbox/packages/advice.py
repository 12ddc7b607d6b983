"""What to do about a release, with the commands to be typed."""

import re
import shlex
from collections.abc import Iterator

import msgspec

from signalbox.packages.entries import Entry
from signalbox.packages.findings import Level
from signalbox.packages.outcomes import Outcome, Settlement
from signalbox.packages.releases import Reason

STAGES = frozenset({"dev", "staging", "prod", "local"})
TYPED = re.compile(r"[\w@.+~/-]+", re.ASCII)
"""What `make` and the shell leave as it is. Packages may be called otherwise."""
NAMED_BUILDS = 30
OF_OTHERS = frozenset(
    {"no-project", "cycle", "missing-dependency", "unshared-dependency", "too-many-affected"}
)
"""Objections that are no fault of the version's."""


class Place(msgspec.Struct, frozen=True):
    """What a message names of the stack.

    Attributes:
        stack: its name.
        domain: the CodeArtifact domain.
        shared: the repository that versions are promoted to.
    """

    stack: str
    domain: str
    shared: str

    def command(self, *arguments: str) -> str:
        """`command` of this stack."""
        return command(self.stack, *arguments)


def command(stack: str, *arguments: str) -> str:
    """What to type: the command ``releases`` of a stack. Whoever pastes it runs nothing else."""
    if not all(TYPED.fullmatch(each) for each in arguments):
        return f".venv/bin/python -m operations releases {shlex.join(arguments)} --stack {stack}"
    stage = stack.removeprefix("signalbox-")
    where = f"STAGE={stage}" if stage in STAGES else f'STACK="--stack {stack}"'
    return f'make releases {where} ARGS="{" ".join(arguments)}"'


def what_to_do(
    settlement: Settlement, place: Place, *, releases: bool, failed: tuple[str, ...]
) -> Iterator[str]:
    """The steps for somebody, in order.

    Args:
        releases: whether the version is theirs.
        failed: those of their packages whose builds did not go well.
    """
    release = settlement.entry.release.version
    match settlement.outcome:
        case Outcome.PLANNED:
            yield f"Look at it: {place.command('show', release, '--plan')}"
            yield f"Have it built and promoted: {place.command('approve', release, '--yes')}"
            return
        case Outcome.STUCK:
            yield f"Mend what is said above. {_again(place, release)}"
        case Outcome.FAILED | Outcome.STOPPED if settlement.reason == Reason.BUILD_FAILED:
            yield from _builds(settlement, place, failed)
            if releases:
                yield "If the version itself is to blame, publish a mended one: it takes the place of this."
        case Outcome.FAILED | Outcome.STOPPED:
            yield from _repair(settlement, place)
    yield f"All that is known of it: {place.command('show', release)}"


def _again(place: Place, release: str) -> str:
    return f"Then try again: {place.command('retry', release, '--yes')}"


def _builds(settlement: Settlement, place: Place, failed: tuple[str, ...]) -> Iterator[str]:
    release = settlement.entry.release
    if ids := [release.builds[each].id for each in failed[:NAMED_BUILDS] if release.builds[each].id]:
        yield f"Look at your builds: aws codebuild batch-get-builds --ids {shlex.join(ids)}"
    if failed:
        yield f"Mend what is wrong with them. {_again(place, release.version)}"


def _repair(settlement: Settlement, place: Place) -> Iterator[str]:
    release = settlement.entry.release.version
    match Reason(settlement.reason):
        case Reason.POLICY:
            yield from _allowed(settlement.entry, place)
            policy = place.command("policy", "show")
            yield f"Or change the policy: {policy}, then policy put. {_again(place, release)}"
        case Reason.WITHDRAWN:
            yield "Nothing. Publish it again, and it is looked at again."
        case Reason.BUILD_STOPPED:
            yield f"Nothing has failed. {_again(place, release)}"
        case Reason.REFUSED:
            yield f"Mend what CodeArtifact says. {_again(place, release)}"


def _allowed(entry: Entry, place: Place) -> Iterator[str]:
    """What would have the policy say yes. What is wrong with dependents, no other version mends."""
    denied = {each.code for each in entry.objections if each.level is Level.DENY}
    again = _again(place, entry.release.version)
    if "no-project" in denied:
        named = place.command("owners", "put", "OWNER", "FILE", "--yes")
        yield f"Name an owner with a project: {named} (docs/packages.md, Owners). {again}"
    if "cycle" in denied:
        yield "Break the cycle: publish a version of one of these packages that does without the others."
    if "missing-dependency" in denied:
        yield f"Publish what is missing. {again}"
    if "unshared-dependency" in denied:
        yield f"Have what the shared repository lacks promoted first. {again}"
    if denied - OF_OTHERS:
        yield "Publish a version that the policy allows."
