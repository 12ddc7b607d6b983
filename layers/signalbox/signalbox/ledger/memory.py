"""The ledger in memory: held to the same suite as the DynamoDB one, and used where a test needs speed."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from signalbox.clock import iso
from signalbox.ledger.actions import FINAL, Action, Result, Verdict
from signalbox.ledger.deferrals import Deferral
from signalbox.ledger.records import Plan, Record, Rejection
from signalbox.ledger.windows import Pointer, Segment, Window, WindowKey


class MemoryLedger:
    """Every operation is atomic, as single-item operations on DynamoDB are."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pointers: dict[WindowKey, Pointer] = {}
        self._segments: dict[Window, dict[str, Segment]] = defaultdict(dict)
        self._contents: dict[Window, tuple[str, ...]] = {}
        self._given_up: set[Window] = set()
        self._actions: dict[Window, dict[str, Action]] = defaultdict(dict)
        self._plans: dict[Window, Plan] = {}
        self._records: dict[str, Record] = {}
        self._rejections: dict[tuple[str, str], Rejection] = {}
        self._deferrals: dict[tuple[str, str], Deferral] = {}

    def pointer(self, key: WindowKey) -> Pointer | None:
        with self._lock:
            return self._pointers.get(key)

    def pointers(self, domain: str) -> list[tuple[WindowKey, Pointer]]:
        with self._lock:
            return sorted((k, p) for k, p in self._pointers.items() if k.domain == domain)

    def open_next(self, key: WindowKey, after: Pointer | None, now: float) -> bool:
        with self._lock:
            current = self._pointers.get(key)
            if (current.number if current else 0) != (after.number if after else 0):
                return False
            number, swept = (after.number, after.swept) if after else (0, 0)
            self._pointers[key] = Pointer(number=number + 1, open=True, opened_at=now, swept=swept)
            return True

    def mark_started(self, window: Window) -> None:
        self._change_pointer(window, started=True)

    def close(self, window: Window) -> None:
        self._change_pointer(window, open=False)

    def _change_pointer(self, window: Window, **changes: bool) -> None:
        with self._lock:
            pointer = self._pointers.get(window.key)
            if pointer is not None and pointer.number == window.number:
                self._pointers[window.key] = msgspec.structs.replace(pointer, **changes)

    def unfinished(self, windows: Sequence[Window]) -> set[Window]:
        with self._lock:
            settled = {window for window, plan in self._plans.items() if plan.settled is not None}
            return set(windows) - settled - self._given_up

    def give_up(self, window: Window) -> bool:
        with self._lock:
            first = window not in self._given_up
            self._given_up.add(window)
            return first

    def note_swept(self, key: WindowKey, number: int) -> None:
        with self._lock:
            pointer = self._pointers[key]
            swept = max(pointer.swept, number)
            self._pointers[key] = msgspec.structs.replace(pointer, swept=swept)

    def append(self, window: Window, segment: Segment) -> None:
        with self._lock:
            self._segments[window][segment.id] = segment

    def segments(self, window: Window) -> list[Segment]:
        with self._lock:
            return [self._segments[window][id_] for id_ in sorted(self._segments[window])]

    def note_contents(self, window: Window, segments: Sequence[str]) -> tuple[str, ...]:
        with self._lock:
            return self._contents.setdefault(window, tuple(segments))

    def actions(self, window: Window, plan: str, kind: str | None = None) -> list[Action]:
        prefix = f"{plan}#{kind}#" if kind else f"{plan}#"
        with self._lock:
            return [a for id_, a in sorted(self._actions[window].items()) if id_.startswith(prefix)]

    def claim(self, window: Window, action_id: str, owner: str, now: float, lease: float) -> Action | None:
        with self._lock:
            action = self._actions[window][action_id]
            held = action.status == "running" and action.owner != owner and action.lease_until > now
            if action.status in FINAL or held:
                return None
            claimed = msgspec.structs.replace(
                action,
                status="running",
                owner=owner,
                lease_until=now + lease,
                attempts=action.attempts + 1,
                started_at=action.started_at or now,
            )
            self._actions[window][action_id] = claimed
            return claimed

    def finish(self, window: Window, action_id: str, owner: str, result: Result, now: float) -> bool:
        with self._lock:
            action = self._actions[window][action_id]
            if action.status != "running" or action.owner != owner:
                return False
            self._actions[window][action_id] = msgspec.structs.replace(
                action,
                status=result.status,
                reason=result.reason,
                reference=result.reference,
                deviations=result.deviations,
                finished_at=now,
            )
            return True

    def verify(self, window: Window, action_id: str, verdict: Verdict) -> None:
        with self._lock:
            action = self._actions[window][action_id]
            self._actions[window][action_id] = msgspec.structs.replace(action, verdict=verdict)

    def plan(self, window: Window) -> Plan | None:
        with self._lock:
            return self._plans.get(window)

    def commit_plan(self, window: Window, plan: Plan, actions: Sequence[Action]) -> Plan:
        self.add_actions(window, actions)
        with self._lock:
            return self._plans.setdefault(window, plan)

    def add_actions(self, window: Window, actions: Sequence[Action]) -> None:
        with self._lock:
            for action in actions:
                self._actions[window].setdefault(action.id, action)

    def settle_plan(self, window: Window, settled: dict[str, Any]) -> bool:
        with self._lock:
            plan = self._plans[window]
            if plan.settled is not None:
                return False
            self._plans[window] = msgspec.structs.replace(plan, settled=settled)
            return True

    def records(self, keys: Sequence[str]) -> dict[str, Record]:
        with self._lock:
            return {key: self._records[key] for key in keys if key in self._records}

    def put_records(self, records: Sequence[Record]) -> set[str]:
        refused = set()
        with self._lock:
            for record in records:
                current = self._records.get(record.key)
                if (current.version if current else 0) == record.version:
                    self._records[record.key] = msgspec.structs.replace(record, version=record.version + 1)
                else:
                    refused.add(record.key)
        return refused

    def reject(self, rejection: Rejection) -> None:
        with self._lock:
            self._rejections[(rejection.domain, rejection.id)] = rejection

    def rejections(self, domain: str, day: str) -> list[Rejection]:
        with self._lock:
            found = [r for (d, _), r in self._rejections.items() if d == domain and iso(r.at).startswith(day)]
        return sorted(found, key=lambda r: (r.at, r.id))

    def defer(self, deferral: Deferral) -> None:
        with self._lock:
            self._deferrals[(deferral.key.domain, deferral.id)] = deferral

    def deferrals(self, domain: str) -> list[Deferral]:
        with self._lock:
            found = [deferral for (d, _), deferral in self._deferrals.items() if d == domain]
        return sorted(found, key=lambda deferral: (deferral.due_at, deferral.id))

    def drop_deferral(self, domain: str, deferral_id: str) -> None:
        with self._lock:
            self._deferrals.pop((domain, deferral_id), None)
