"""Taking events in: a batch at a time, each object's workflow run, every message accounted for.

The queue is the list of what is to be done: a message is gone when the index says what its object says. One
that failed comes again a little later, and in the end goes to the dead-letter queue.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.documents.admission import Admit, Drop, Later, decide, release
from signalbox.documents.entries import DOMAIN, entry_of, record_of
from signalbox.documents.events import parse_event
from signalbox.documents.models import Document, Options, Outcome
from signalbox.documents.objects import ObjectEvent
from signalbox.documents.routes import Routes
from signalbox.errors import (
    ConflictError,
    InvariantError,
    RefusedError,
    SignalboxError,
    TransientError,
    UnavailableError,
)
from signalbox.eventbridge import Scope
from signalbox.intake import Batch, Message, Queue, Retries
from signalbox.ledger.records import Record, RecordStore, Rejection, RejectionStore
from signalbox.spreading import Spread, in_order

EXECUTIONS_AT_ONCE = 5
"""As many as a batch has messages: each has an object, as a rule."""
CHANGE_ATTEMPTS = 5
START_SECONDS = 20.0
"""After this an invocation begins no more executions: what it began must end before its own time is up."""


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes:
        admitted: objects that were worked on.
        echoed: events that asked for no work of their own, by reason: ``duplicate`` and ``stale``
            (`signalbox.documents.admission`), ``merged`` with another one of the batch, ``failed-call``.
        ignored: events of objects that no route takes.
        outcomes: of the executions that ended well.
        rejections: bad input, recorded.
        waits: the messages that come again, by their ids, and after how many seconds.
        errors: why they do, for the log.
        oldest: the age in seconds of the oldest event admitted.
    """

    admitted: int = 0
    echoed: Mapping[str, int] = {}
    ignored: int = 0
    outcomes: Mapping[Outcome, int] = {}
    rejections: tuple[Rejection, ...] = ()
    waits: Mapping[str, int] = {}
    errors: tuple[str, ...] = ()
    oldest: float = 0.0

    @property
    def echoes(self) -> int:
        return sum(self.echoed.values())

    @property
    def returned(self) -> tuple[str, ...]:
        """The ids of the messages that come again."""
        return tuple(self.waits)


class Ledger(RecordStore, RejectionStore, Protocol):
    """What the intake asks of the ledger."""


class Workflow(Protocol):
    """The state machine ``documents_object``."""

    def run(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """See `signalbox.aws.executions.SyncExecutions`."""
        ...


class _Output(msgspec.Struct):
    """What an execution answers: what its last step did."""

    outcome: Outcome


class _Item(NamedTuple):
    message: Message
    event: ObjectEvent


class _Work(NamedTuple):
    """What a batch tells of one object, and what its route asks for."""

    items: tuple[_Item, ...]
    options: Options

    @property
    def key(self) -> str:
        return self.items[0].event.entry_key


class _Admitted(NamedTuple):
    """An object that is to be worked on, and until when it counts as being worked on."""

    work: _Work
    document: Document
    busy_until: float


class _End(NamedTuple):
    """How one object's turn ended.

    Attributes:
        outcome: None where it ended in an error.
        over: nobody is at work on it any more.
        begun: an execution was asked for.
    """

    outcome: Outcome | None = None
    error: str = ""
    over: bool = True
    begun: bool = True


class _Account(Batch):
    """What becomes of the batch, while it is being found out."""

    def __init__(self, ledger: Ledger, queue: Queue, scope: Scope, clock: Clock, retries: Retries) -> None:
        super().__init__(DOMAIN, ledger, queue, scope, clock, retries)
        self.echoed: Counter[str] = Counter()
        self.outcomes: Counter[Outcome] = Counter()
        self.ignored = 0


class AdmitEvents:
    """The intake of the Documents domain.

    Args:
        ledger: what is known of the objects; rejections.
        routes: answers the routes that hold now.
        workflow: run for each object that is admitted.
        queue: where the messages come from.
        scope: whose events are taken.
        clock: seconds since 1970.
        spread: how the workflows are run, one after the other by default.
    """

    def __init__(
        self,
        ledger: Ledger,
        routes: Callable[[], Routes],
        workflow: Workflow,
        queue: Queue,
        scope: Scope,
        clock: Clock,
        retries: Retries,
        spread: Spread = in_order,
    ) -> None:
        self._ledger = ledger
        self._routes = routes
        self._workflow = workflow
        self._queue = queue
        self._scope = scope
        self._clock = clock
        self._retries = retries
        self._spread = spread

    def admit(self, messages: Sequence[Message]) -> Admission:
        """Takes a batch in, and answers when the workflows of its objects have ended.

        One bad message never holds up the rest.
        """
        account = _Account(self._ledger, self._queue, self._scope, self._clock, self._retries)
        begun_at = self._clock()
        items = [item for message in messages for item in self._parse(message, account)]
        admitted = self._admit(self._routed(items, account), account)
        oldest = max((self._clock() - each.document.occurred_at for each in admitted), default=0.0)
        ends = list(self._spread(lambda each: self._run(each, begun_at), admitted))
        self._account_for(list(zip(admitted, ends, strict=True)), account)
        account.send_back()
        return Admission(
            admitted=sum(end.begun for end in ends),
            echoed=dict(+account.echoed),
            ignored=account.ignored,
            outcomes=dict(account.outcomes),
            rejections=tuple(account.rejections),
            waits=account.waits,
            errors=tuple(dict.fromkeys(account.errors)),
            oldest=oldest,
        )

    # What the messages say

    def _parse(self, message: Message, account: _Account) -> list[_Item]:
        events = account.read(message, parse_event)
        if events is None:
            return []
        if not events:
            account.echoed["failed-call"] += 1
        return [_Item(message, event) for event in events]

    def _routed(self, items: Sequence[_Item], account: _Account) -> list[_Work]:
        """The objects that a route takes."""
        if not items:
            return []
        try:
            routes = self._routes()
        except SignalboxError as error:
            account.retry((item.message for item in items), str(error))
            return []
        by_object: dict[tuple[str, str], list[_Item]] = defaultdict(list)
        for item in items:
            by_object[item.event.bucket, item.event.key].append(item)
        works = []
        for (bucket, key), members in by_object.items():
            options = routes.match(bucket, key)
            if options is None:
                account.ignored += len(members)
            else:
                works.append(_Work(tuple(members), options))
        return works

    # What the ledger says

    def _admit(self, works: Sequence[_Work], account: _Account) -> list[_Admitted]:
        """Those that are to be worked on: the ledger has their new generation."""
        admitted: list[_Admitted] = []
        pending = {work.key: work for work in works}
        try:
            for _ in range(CHANGE_ATTEMPTS):
                if not pending:
                    return admitted
                refused = self._try_to_admit(pending, admitted, account)
                pending = {key: pending[key] for key in refused}
            error = f"{', '.join(pending)}: changed under every attempt to admit it"
        except (TransientError, ConflictError) as failure:
            error = str(failure)
        account.retry(_messages(pending.values()), error)
        return admitted

    def _try_to_admit(
        self, pending: Mapping[str, _Work], admitted: list[_Admitted], account: _Account
    ) -> set[str]:
        """Answers the keys of the objects that somebody else changed meanwhile."""
        records = self._ledger.records(list(pending))
        decisions = {key: self._decide(work, records.get(key)) for key, work in pending.items()}
        changes = [
            record_of(decision.entry, records[key].version if key in records else 0)
            for key, decision in decisions.items()
            if isinstance(decision, Admit | Drop) and decision.entry is not None
        ]
        refused = self._ledger.put_records(changes) if changes else set()
        for key, decision in decisions.items():
            if key in refused:
                continue
            items = pending[key].items
            match decision:
                case Admit(entry, document):
                    admitted.append(_Admitted(pending[key], document, entry.busy_until))
                    account.echoed["merged"] += len(items) - 1
                case Drop(reason):
                    account.echoed[reason] += len(items)
                case Later(seconds):
                    for message in _messages([pending[key]]):
                        account.wait(message, self._retries.look(message, seconds))
        return refused

    def _decide(self, work: _Work, record: Record | None) -> Admit | Drop | Later:
        return decide(
            entry_of(record) if record else None,
            [item.event for item in work.items],
            self._clock(),
            last_try=all(self._retries.are_used_up(item.message) for item in work.items),
        )

    # What the workflow says

    def _run(self, admitted: _Admitted, begun_at: float) -> _End:
        document = admitted.document
        if self._clock() > begun_at + START_SECONDS:
            return _End(error=f"{document.shown}: there was no time left for it", begun=False)
        content = msgspec.to_builtins({"document": document, "options": admitted.work.options})
        try:
            output = self._workflow.run(document.execution, content)
        except UnavailableError as error:
            return _End(error=f"{document.shown}: {error}", over=False)
        except (TransientError, RefusedError) as error:
            return _End(error=f"{document.shown}: {error}")
        return _End(_outcome(output))

    def _account_for(self, ended: Sequence[tuple[_Admitted, _End]], account: _Account) -> None:
        """Failed ones come again; those of which nobody knows, when they must have ended."""
        failed = {each.work.key: (each.document, end.error) for each, end in ended if _has_failed(end)}
        for each, end in ended:
            if end.outcome is not None:
                account.outcomes[end.outcome] += 1
            elif _has_failed(end):
                account.retry(_messages([each.work]), end.error)
            else:
                account.errors.append(end.error)
                for message in _messages([each.work]):
                    account.wait(message, each.busy_until - self._clock())
        try:
            self._release(failed)
        except SignalboxError as error:
            account.errors.append(str(error))  # then the next try waits until nobody can be at work

    def _release(self, failed: Mapping[str, tuple[Document, str]]) -> None:
        keys = list(failed)
        for _ in range(CHANGE_ATTEMPTS):
            if not keys:
                return
            changes = []
            for key, record in self._ledger.records(keys).items():
                document, why = failed[key]
                entry = release(entry_of(record), document.generation, why)
                if entry is not None:
                    changes.append(record_of(entry, record.version))
            keys = list(self._ledger.put_records(changes)) if changes else []


def _has_failed(end: _End) -> bool:
    """Not so, as far as anybody knows, one whose answer got lost."""
    return end.outcome is None and end.over


def _outcome(output: dict[str, Any]) -> Outcome:
    try:
        return msgspec.convert(output, _Output).outcome
    except msgspec.ValidationError as error:
        raise InvariantError(f"what an execution answered: {error}") from error


def _messages(works: Iterable[_Work]) -> list[Message]:
    return [item.message for work in works for item in work.items]
