"""Taking events in: a batch at a time, every message accounted for.

The queue is the list of what is to be done: a message is gone when what it leads to has begun, or a later one
is responsible. At first it has CodeArtifact asked what the version is, the index and the release say so, and
comes again; once its version has been quiet for long enough, the execution of the release is started. One
that failed comes again a little later, and in the end goes to the dead-letter queue.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import RejectedError, SignalboxError
from signalbox.eventbridge import Envelope, Scope
from signalbox.intake import Batch, Message, Queue, Retries
from signalbox.ledger.records import RecordStore, Rejection, RejectionStore
from signalbox.packages.admission import (
    NOT_A_SOURCE,
    PUBLISHED_ELSEWHERE,
    Ignore,
    Later,
    Look,
    Rules,
    Start,
    decide,
    follows,
    is_elsewhere,
    is_untouched,
)
from signalbox.packages.entries import DOMAIN, Entry, Releases, answer
from signalbox.packages.events import Change, Request, parse_event
from signalbox.packages.findings import Finding
from signalbox.packages.noting import NoteChange
from signalbox.packages.pinning import change_of
from signalbox.packages.releases import Retried
from signalbox.packages.repositories import Repositories
from signalbox.packages.waiting import TaskTokens, let_go

START_SECONDS = 35.0
"""After this an invocation looks at no more events: the longest look must end before its own time is up."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes:
        admitted: events and requests that said something new.
        echoed: events that said nothing new: ``duplicate``, or ``stale`` where a later one is responsible.
        ignored: events of what is not released (`signalbox.packages.admission`).
        reasons: of both, and how often.
        begun: executions that were asked for.
        indexed: packages of which the index says something else now.
        findings: what was found wrong with packages that were read.
        rejections: bad input, recorded.
        waits: the messages that come again, by their ids, and after how many seconds.
        returned: those of them that come again because of ``errors``.
        errors: why they do, for the log.
        oldest: the age in seconds of the oldest event admitted.
    """

    admitted: int = 0
    echoed: int = 0
    ignored: int = 0
    reasons: Mapping[str, int] = {}
    begun: int = 0
    indexed: int = 0
    findings: tuple[Finding, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    waits: Mapping[str, int] = {}
    returned: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    oldest: float = 0.0


class Ledger(RecordStore, RejectionStore, Protocol):
    """What the intake asks of the ledger."""


class Workflow(Protocol):
    """The state machine ``packages_release``."""

    def start(self, name: str, content: dict[str, Any]) -> None:
        """See `signalbox.aws.executions.NamedExecutions`."""
        ...


class _Item(NamedTuple):
    message: Message
    told: Change | Request

    @property
    def order(self) -> int:
        """Of several events the newest comes first: it makes the others needless."""
        return -self.told.sequence if isinstance(self.told, Change) else 0


class _Account(Batch):
    """What becomes of the batch, while it is being found out."""

    def __init__(self, ledger: Ledger, queue: Queue, scope: Scope, clock: Clock, retries: Retries) -> None:
        super().__init__(DOMAIN, ledger, queue, scope, clock, retries)
        self._now = clock
        self.admitted = 0
        self.echoed: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.begun = 0
        self.indexed = 0
        self.findings: list[Finding] = []
        self.oldest = 0.0

    def admit(self, told: Change | Request) -> None:
        self.admitted += 1
        self.oldest = max(self.oldest, self._now() - told.occurred_at)

    def made(self) -> Admission:
        return Admission(
            admitted=self.admitted,
            echoed=self.echoed.total(),
            ignored=self.ignored.total(),
            reasons=dict(self.echoed + self.ignored),
            begun=self.begun,
            indexed=self.indexed,
            findings=tuple(dict.fromkeys(self.findings)),
            rejections=tuple(self.rejections),
            waits=self.waits,
            returned=tuple(self.returned),
            errors=tuple(dict.fromkeys(self.errors)),
            oldest=self.oldest,
        )


class AdmitEvents:
    """The intake of the Packages domain.

    Args:
        ledger: the releases, the index, rejections; made with `signalbox.packages.entries.RETENTION_SECONDS`.
        workflow: started for each release that begins.
        tokens: of the executions that wait for builds that nobody needs any more.
        queue: where the messages come from.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        repositories: Repositories,
        workflow: Workflow,
        tokens: TaskTokens,
        queue: Queue,
        rules: Rules,
        clock: Clock,
        retries: Retries,
    ) -> None:
        self._ledger = ledger
        self._releases = Releases(ledger)
        self._changes = NoteChange(ledger, repositories, tokens, rules, clock)
        self._repositories = repositories
        self._workflow = workflow
        self._tokens = tokens
        self._queue = queue
        self._rules = rules
        self._clock = clock
        self._retries = retries

    def admit(self, messages: Sequence[Message]) -> Admission:
        """Takes a batch in. One bad message never holds up the rest."""
        account = _Account(self._ledger, self._queue, self._rules.scope, self._clock, self._retries)
        until = self._clock() + START_SECONDS
        items = [item for message in messages if (item := self._parse(message, account))]
        for item in sorted(items, key=lambda each: each.order):
            if self._clock() > until:
                account.retry([item.message], "there was no time left for it")
                continue
            try:
                self._take(item, account)
            except RejectedError as error:
                account.reject(item.message, error)
            except SignalboxError as error:
                account.retry([item.message], f"{error.code}: {error}")
        account.send_back()
        return account.made()

    # What the messages say

    def _parse(self, message: Message, account: _Account) -> _Item | None:
        event = account.read(message, self._ours)
        return None if event is None else _Item(message, event)

    def _ours(self, envelope: Envelope) -> Change | Request:
        event = parse_event(envelope)
        ours = self._rules.domain, self._rules.owner
        if isinstance(event, Change) and (event.domain, event.owner) != ours:
            what = f"domain {event.domain} of {event.owner} is not {ours[0]} of {ours[1]}"
            raise RejectedError("foreign-domain", "$.detail.domainName", what)
        return event

    def _take(self, item: _Item, account: _Account) -> None:
        match item.told:
            case Request() as request:
                self._try_again(request, account)
            case Change() as change if change.repository not in self._rules.sources:
                account.ignored[NOT_A_SOURCE] += 1
            case Change() as change:
                self._take_change(item.message, change, account)

    # A version that has changed

    def _take_change(self, message: Message, change: Change, account: _Account) -> None:
        entry = self._releases.read(change.version.key)
        if entry is not None and is_elsewhere(entry, change):
            account.ignored[PUBLISHED_ELSEWHERE] += 1
            return
        ours = entry if entry is not None and entry.repository == change.repository else None
        if ours is not None:
            ours = let_go(ours, self._releases, self._tokens)
        known = ours is not None and change.id in ours.events
        match decide(ours, change, self._clock(), self._rules.quiet_seconds):
            case Look():
                self._note(message, change, account, is_released=ours is not None)
                return
            case Later(seconds):
                account.wait(message, seconds)
            case Start() if ours is not None:
                self._start(message, change, ours, account)
        if message.first or not known:
            account.echoed["duplicate" if known else "stale"] += 1

    def _note(self, message: Message, change: Change, account: _Account, *, is_released: bool) -> None:
        noted = self._changes.note(change, is_released=is_released)
        if isinstance(noted, Ignore):
            account.ignored[noted.reason] += 1
            return
        account.admit(change)
        account.indexed += noted.indexed
        account.findings += noted.findings
        match decide(noted.entry, change, self._clock(), self._rules.quiet_seconds):
            case Later(seconds):
                account.wait(message, seconds)
            case Start():
                self._start(message, change, noted.entry, account)

    def _start(self, message: Message, change: Change, entry: Entry, account: _Account) -> None:
        """Starts the execution, if the version is what the release is about. If not, another event is on its
        way, and this one waits for it."""
        found = self._repositories.describe(change.repository, change.version)
        if change_of(entry, found):
            account.wait(message, self._rules.quiet_seconds)
            return
        self._begin(entry)
        account.begun += 1

    # Another try that is asked for

    def _try_again(self, request: Request, account: _Account) -> None:
        version = request.release
        before = self._releases.read(version)
        if before is None:
            raise RejectedError("unknown-release", "$.detail.release", f"there is no release of {version}")
        asked = Retried(request.round, request.tries, request.acts)
        after = let_go(self._releases.advance(version, asked), self._releases, self._tokens)
        if is_untouched(after.release, request):
            what = f"{version} is {after.release.state}: there is nothing to try again"
            raise RejectedError("nothing-to-retry", "$.detail.release", what)
        if not follows(after.release, request):
            account.echoed["stale"] += 1
            return
        account.admit(request)
        self._begin(after)
        account.begun += 1

    def _begin(self, entry: Entry) -> None:
        release = entry.release
        self._workflow.start(release.execution, answer(entry, release.round, release.tries))
