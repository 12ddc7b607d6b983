"""Letting an execution go on that waits for builds: whoever comes first answers its task token.

It is answered before the ledger forgets it. Who crashes in between leaves it to the next, and to answer twice
is harmless: Step Functions knows the token no more.
"""

from typing import Any, Protocol

import msgspec

from signalbox.packages.entries import Entry, Releases, answer


class TaskTokens(Protocol):
    """The executions that wait."""

    def succeed(self, token: str, output: dict[str, Any]) -> None:
        """Lets one go on, with that output. One that does not wait any more is passed over."""
        ...


def let_go(entry: Entry, releases: Releases, tokens: TaskTokens) -> Entry:
    """Lets the release's execution go on where there is nothing to be waited for any more.

    Raises:
        SignalboxError: Step Functions or the ledger did not answer, or refused. Try again.
    """
    waiting = entry.waiting
    if waiting is None or not entry.has_waited:
        return entry
    tokens.succeed(waiting.token, answer(entry, waiting.round, waiting.tries))

    def forget(known: Entry | None) -> Entry | None:
        if known is None or known.waiting != waiting:
            return known
        return msgspec.structs.replace(known, waiting=None)

    return releases.change(entry.release.version, forget) or entry
