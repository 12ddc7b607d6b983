"""Windows: how events that arrive together are handled together, and none falls in between.

A window gathers what arrives for one (domain, account, region) while it is open. The protocol needs two
ordered steps on each side and no transaction:

* a joiner *writes* its segment into the window, then *looks* whether the window is still open;
* the closer *closes* the window, then *reads* its segments.

Reads are strongly consistent. If the joiner saw the window open, its write came before the close and so
before the read: the segment is seen. If it saw the window closed, it can't know, and joins the next one
too. A segment that lands twice is harmless, since episodes merge and actions are claimed.

A closer that is tried again while the first one lives may read a segment more, which landed after the
close. Whatever it claimed because of that one would be missing from the plan that the other commits. So
the first closer to note what it read decides for all: every attempt plans the same contents.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from signalbox.clock import Clock
from signalbox.errors import ConflictError

OVERDUE_SECONDS = 30.0
"""A window open for this much longer than it should be has lost its execution: the next one opens."""


type ExecutionState = Literal["absent", "running", "succeeded", "failed"]


class WindowKey(msgspec.Struct, frozen=True, order=True):
    """What has one open window at a time."""

    domain: str
    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.domain}#{self.account}#{self.region}"


class Window(msgspec.Struct, frozen=True, order=True):
    """One window: numbered from 1 within its key."""

    domain: str
    account: str
    region: str
    number: int

    @property
    def key(self) -> WindowKey:
        return WindowKey(self.domain, self.account, self.region)

    @property
    def execution_name(self) -> str:
        """The name of the Step Functions execution, so that starting it twice starts it once."""
        return f"{self.domain}-{self.account}-{self.region}-{self.number:08d}"

    def __str__(self) -> str:
        return f"{self.key}#{self.number:08d}"


class Pointer(msgspec.Struct, frozen=True):
    """The newest window of a key.

    Attributes:
        number: counts the key's windows.
        open: it still takes segments.
        opened_at: seconds since 1970.
        started: its execution was started.
        swept: the windows up to this number are finished; see `signalbox.ledger.sweeping`.
    """

    number: int
    open: bool
    opened_at: float
    started: bool = False
    swept: int = 0


class Segment(msgspec.Struct, frozen=True):
    """What one intake batch adds to a window. The id is derived from the entries: a retry overwrites."""

    id: str
    entries: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, entries: Sequence[dict[str, Any]]) -> "Segment":
        digest = hashlib.sha256(msgspec.json.encode(entries, order="deterministic")).hexdigest()
        return cls(digest[:32], tuple(entries))


class WindowStore(Protocol):
    """What the protocol asks of the ledger. Every read is strongly consistent."""

    def pointer(self, key: WindowKey) -> Pointer | None:
        """The newest window of the key, if it ever had one."""
        ...

    def pointers(self, domain: str) -> list[tuple[WindowKey, Pointer]]:
        """The newest window of every key of the domain."""
        ...

    def open_next(self, key: WindowKey, after: Pointer | None, now: float) -> bool:
        """Opens the window after ``after``, if ``after`` is still the newest; else answers False."""
        ...

    def mark_started(self, window: Window) -> None:
        """Notes that the window's execution runs. Harmless when a newer window is open."""
        ...

    def close(self, window: Window) -> None:
        """Closes the window. Harmless when it is closed already or a newer one is open."""
        ...

    def append(self, window: Window, segment: Segment) -> None:
        """Adds the segment, or overwrites the same one."""
        ...

    def segments(self, window: Window) -> list[Segment]:
        """All the segments."""
        ...

    def note_contents(self, window: Window, segments: Sequence[str]) -> tuple[str, ...]:
        """Notes the ids of the segments that make up a closed window. Answers those that do: another
        closer's where that one was first."""
        ...


class WindowStarter(Protocol):
    """Starts the execution that handles a window. Starting it again is harmless."""

    def start(self, window: Window) -> None: ...


class Windows:
    """The joiner's side of the protocol.

    Args:
        store: the ledger.
        starter: starts the execution; called by whoever finds it not started.
        clock: seconds since 1970.
        open_seconds: how long a window gathers.
        attempts: how many closed windows in a row a joiner puts up with before it gives up.
    """

    def __init__(
        self,
        store: WindowStore,
        starter: WindowStarter,
        clock: Clock,
        *,
        open_seconds: float,
        attempts: int = 8,
    ) -> None:
        self._store = store
        self._starter = starter
        self._clock = clock
        self._open_seconds = open_seconds
        self._attempts = attempts

    def join(self, key: WindowKey, entries: Sequence[dict[str, Any]]) -> Window:
        """Puts the entries into a window that is certain to read them, and has its execution started.

        Raises:
            ConflictError: every attempt met a window that closed meanwhile. The batch must come again.
        """
        segment = Segment.of(entries)
        pointer = self._store.pointer(key)
        for _ in range(self._attempts):
            if pointer is None or not self._takes_more(pointer):
                self._store.open_next(key, pointer, self._clock())
                pointer = self._store.pointer(key)
                continue
            window = Window(key.domain, key.account, key.region, pointer.number)
            self._store.append(window, segment)
            seen = self._store.pointer(key)
            if seen is not None and seen.number == window.number and seen.open:
                self._ensure_started(window, seen)
                return window
            pointer = seen
        raise ConflictError(f"{key}: {self._attempts} windows in a row closed before the segment was in")

    def _takes_more(self, pointer: Pointer) -> bool:
        age = self._clock() - pointer.opened_at
        return pointer.open and age <= self._open_seconds + OVERDUE_SECONDS

    def _ensure_started(self, window: Window, pointer: Pointer) -> None:
        if not pointer.started:
            self._starter.start(window)
            self._store.mark_started(window)


def close_and_read(store: WindowStore, window: Window) -> list[dict[str, Any]]:
    """The closer's side: closes the window and answers every entry in it, each once."""
    store.close(window)
    segments = {segment.id: segment for segment in store.segments(window)}
    contents = store.note_contents(window, tuple(segments))
    if not segments.keys() >= set(contents):  # the other closer read later than this one
        segments = {segment.id: segment for segment in store.segments(window)}
    entries = {
        msgspec.json.encode(entry, order="deterministic"): entry
        for id_ in contents
        if id_ in segments  # else it has expired: a window that old has nothing to do
        for entry in segments[id_].entries
    }
    return list(entries.values())
