"""Goes through a dead-letter queue, letter by letter, and replays what is wanted. No AWS here: ports only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from operations.letters import BATCH_ENTRIES, Finding, Letter, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


class Source(Protocol):
    """The queue that is gone through."""

    def receive(self, most: int) -> list[Letter]:
        """Up to `most` letters (ten at the most), hidden from others for a while; none when it is empty."""

    def delete(self, letters: Sequence[Letter]) -> set[str]:
        """Removes them; answers the ids of those that are gone."""

    def release(self, letters: Sequence[Letter]) -> None:
        """Lets them be seen again at once."""


type Deliver = Callable[[Sequence[Letter]], Collection[str]]
"""Passes one batch of letters on; answers the ids of those that were taken."""


@dataclass(slots=True)
class Outcome:
    """What became of the letters that were seen. Those that are not `replayed` are still in the queue."""

    seen: list[Finding] = field(default_factory=list)
    replayed: list[Letter] = field(default_factory=list)
    undeleted: list[Letter] = field(default_factory=list)
    refused: list[Letter] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether all that was to be replayed was."""
        return not self.refused and not self.undeleted


def go_through(
    source: Source,
    judge: Callable[[Letter], Finding],
    deliver: Deliver | None,
    *,
    most: int,
    report: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Sees the letters, up to `most` of those that are wanted, and has `deliver` take them; None only looks.

    A letter is deleted only after it was taken. One that was taken but could not be deleted comes again, as
    does one whose deletion was interrupted: whoever takes letters must bear duplicates. What is not replayed
    is let go, also when this is interrupted. `report` gets the number seen so far.
    """
    outcome = Outcome()
    known: set[str] = set()
    held: dict[str, Letter] = {}
    room = most
    try:
        while room > 0 and (fresh := _receive(source, min(room, BATCH_ENTRIES), known, held)):
            findings = [judge(letter) for letter in fresh]
            outcome.seen += findings
            wanted = [finding.letter for finding in findings if finding.wanted]
            room -= len(wanted)
            if deliver is not None:
                for batch in batches(wanted):
                    _replay(source, deliver, batch, outcome, held)
            report(len(outcome.seen))
    finally:
        source.release(list(held.values()))
    return outcome


def _receive(source: Source, most: int, known: set[str], held: dict[str, Letter]) -> list[Letter]:
    """Letters not seen before. A letter that comes again, its hiding time being over, has a newer receipt."""
    received = {letter.id: letter for letter in source.receive(most)}
    held.update(received)
    fresh = [letter for id_, letter in received.items() if id_ not in known]
    known.update(received)
    return fresh


def _replay(
    source: Source, deliver: Deliver, batch: Sequence[Letter], outcome: Outcome, held: dict[str, Letter]
) -> None:
    taken_ids = deliver(batch)
    taken = [letter for letter in batch if letter.id in taken_ids]
    outcome.refused += [letter for letter in batch if letter.id not in taken_ids]
    gone = source.delete(taken) if taken else set()
    outcome.replayed += [letter for letter in taken if letter.id in gone]
    outcome.undeleted += [letter for letter in taken if letter.id not in gone]
    for id_ in gone:
        held.pop(id_, None)
