"""What to do about a release, with the commands to be typed."""

import re
import shlex
from collections.abc import Iterator

import msgspec

from signalbox.packages.outcomes import Outcome, Settlement
from signalbox.packages.releases import Reason

STAGES = frozenset({"dev", "staging", "prod", "local"})
TYPED = re.compile(r"[\w@.+~/-]+", re.ASCII)
"""What `make` and the shell leave as it is. Packages may be called otherwise."""
NAMED_BUILDS = 30


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
        """What to type: the command ``releases`` of this stack. Whoever pastes it runs nothing else."""
        if not all(TYPED.fullmatch(each) for each in arguments):
            return f"python -m operations releases {shlex.join(arguments)} --stack {self.stack}"
        stage = self.stack.removeprefix("signalbox-")
        where = f"STAGE={stage}" if stage in STAGES else f'STACK="--stack {self.stack}"'
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
            yield from _repair(Reason(settlement.reason), place, release)
    yield f"All that is known of it: {place.command('show', release)}"


def _again(place: Place, release: str) -> str:
    return f"Then try again: {place.command('retry', release, '--yes')}"


def _builds(settlement: Settlement, place: Place, failed: tuple[str, ...]) -> Iterator[str]:
    release = settlement.entry.release
    if ids := [release.builds[each].id for each in failed[:NAMED_BUILDS] if release.builds[each].id]:
        yield f"Look at your builds: aws codebuild batch-get-builds --ids {shlex.join(ids)}"
    if failed:
        yield f"Mend what is wrong with them. {_again(place, release.version)}"


def _repair(reason: Reason, place: Place, release: str) -> Iterator[str]:
    match reason:
        case Reason.POLICY:
            yield "Publish a version that the policy allows."
            policy = place.command("policy", "show")
            yield f"Or change the policy: {policy}, then policy put. {_again(place, release)}"
        case Reason.WITHDRAWN:
            yield "Nothing. Publish it again, and it is looked at again."
        case Reason.BUILD_STOPPED:
            yield f"Nothing has failed. {_again(place, release)}"
        case Reason.REFUSED:
            yield f"Mend what CodeArtifact says. {_again(place, release)}"
