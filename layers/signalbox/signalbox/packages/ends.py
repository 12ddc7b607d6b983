"""Taking in how builds ended: a batch of CodeBuild's events at a time, each release changed once.

What comes again because something failed does so when no claim is in force any more.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import SignalboxError
from signalbox.eventbridge import Scope
from signalbox.intake import Batch, Message, Queue, Retries
from signalbox.ledger.records import RecordStore, Rejection, RejectionStore
from signalbox.packages.building import LEASE_SECONDS, START_SECONDS, Driven, Waves, Work
from signalbox.packages.builds import End, parse_end, take_in
from signalbox.packages.entries import DOMAIN, Purpose, build_key
from signalbox.packages.waiting import TaskTokens, let_go

YOUNG_SECONDS = 60.0
"""A build that ended so lately may have been started by somebody who is about to note it."""


class Ledger(RecordStore, RejectionStore, Protocol):
    """What taking in ends asks of the ledger."""


class Ends(Work, frozen=True, kw_only=True):
    """What became of a batch of builds' events.

    Attributes:
        admitted: events that said something new.
        echoed: events that said nothing new: duplicates, and those of a round or an attempt that is past.
        ignored: events of builds that this program has not started.
        rejections: bad input, recorded.
        waits: the messages that come again, by their ids, and after how many seconds.
        returned: the ids of those that do because of ``errors``.
        errors: what went wrong, for the log.
        oldest: the age in seconds of the oldest event admitted.
    """

    admitted: int = 0
    echoed: int = 0
    ignored: int = 0
    rejections: tuple[Rejection, ...] = ()
    waits: Mapping[str, int] = {}
    returned: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    oldest: float = 0.0


class _Item(NamedTuple):
    message: Message
    end: End


class _Account(Batch):
    """What becomes of the batch, while it is being found out."""

    def __init__(self, ledger: Ledger, queue: Queue, scope: Scope, clock: Clock, retries: Retries) -> None:
        super().__init__(DOMAIN, ledger, queue, scope, clock, retries)
        self.ends: list[End] = []
        self.started = 0
        self.admitted: list[End] = []
        self.echoed = 0
        self.ignored = 0


class AdmitBuilds:
    """Takes in how builds ended, starts those that have waited for a place, and lets executions go on.

    Args:
        queue: where the messages come from.
        scope: whose events are taken.
    """

    def __init__(
        self,
        ledger: Ledger,
        waves: Waves,
        tokens: TaskTokens,
        queue: Queue,
        scope: Scope,
        clock: Clock,
        retries: Retries,
    ) -> None:
        self._ledger = ledger
        self._waves = waves
        self._tokens = tokens
        self._queue = queue
        self._scope = scope
        self._clock = clock
        self._retries = retries

    def admit(self, messages: Sequence[Message]) -> Ends:
        """Takes a batch in: each release is changed once. One bad message never holds up the rest."""
        account = _Account(self._ledger, self._queue, self._scope, self._clock, self._retries)
        until = self._clock() + START_SECONDS
        items = [item for message in messages if (item := self._parse(message, account))]
        for release, members in self._by_release(items, account).items():
            self._take_in(release, members, until, account)
        account.send_back()
        ages = [self._clock() - end.ended_at for end in account.admitted]
        return Ends(
            ends=tuple(account.ends),
            started=account.started,
            admitted=len(account.admitted),
            echoed=account.echoed,
            ignored=account.ignored,
            rejections=tuple(account.rejections),
            waits=account.waits,
            returned=tuple(account.returned),
            errors=tuple(dict.fromkeys(account.errors)),
            oldest=max(ages, default=0.0),
        )

    def _parse(self, message: Message, account: _Account) -> _Item | None:
        read = account.read(message, lambda envelope: (parse_end(envelope),))
        if read is None:
            return None
        (end,) = read
        account.ignored += end is None
        return None if end is None else _Item(message, end)

    def _by_release(
        self, items: Sequence[_Item], account: _Account
    ) -> dict[str, list[tuple[Purpose, _Item]]]:
        by_release: dict[str, list[tuple[Purpose, _Item]]] = defaultdict(list)
        try:
            records = self._ledger.records([build_key(item.end.id) for item in items]) if items else {}
        except SignalboxError as error:
            account.retry((item.message for item in items), str(error), LEASE_SECONDS)
            return by_release
        for item in items:
            record = records.get(build_key(item.end.id))
            if record is None:
                self._wait_or_ignore(item, account)
            else:
                purpose = msgspec.convert(record.body, Purpose)
                by_release[purpose.release].append((purpose, item))
        return by_release

    def _wait_or_ignore(self, item: _Item, account: _Account) -> None:
        age = self._clock() - item.end.ended_at
        if age < YOUNG_SECONDS and not self._retries.are_used_up(item.message):
            account.wait(item.message, self._retries.look(item.message, YOUNG_SECONDS - max(age, 0.0)))
        else:
            account.ignored += 1

    def _take_in(
        self, release: str, members: Sequence[tuple[Purpose, _Item]], until: float, account: _Account
    ) -> None:
        messages = [item.message for _, item in members]
        told = [(purpose, item.end) for purpose, item in members]
        if self._clock() > until:
            account.retry(messages, f"{release}: there was no time left for it", LEASE_SECONDS)
            return
        try:
            driven = self._waves.drive(release, lambda known: take_in(known, told), until)
            if driven is not None:
                let_go(driven.entry, self._waves.releases, self._tokens)
        except SignalboxError as error:
            account.retry(messages, f"{release}: {error}", LEASE_SECONDS)
            return
        if driven is None:  # its record has expired
            account.ignored += len(members)
            return
        self._account_for(driven, members, account)

    def _account_for(
        self, driven: Driven, members: Sequence[tuple[Purpose, _Item]], account: _Account
    ) -> None:
        news = [item.end for _, item in members if any(item.end is end for end in driven.ends)]
        account.ends += driven.ends
        account.started += driven.started
        account.admitted += news
        account.echoed += len(members) - len(news)
        account.errors += driven.errors
        if driven.held:
            # After the last time the step's next hour sees to it: what they say is in the ledger.
            messages = [item.message for _, item in members]
            patient = [each for each in messages if not self._retries.are_used_up(each)]
            why = f"{driven.entry.release.version}: builds are held back: {driven.held}"
            account.retry(patient, why, LEASE_SECONDS)
