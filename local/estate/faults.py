"""Faults to order: what goes wrong between a caller and AWS, on request of a test or a demonstration."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from local.estate.errors import AwsError, throttled, unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.estate.requests import AwsRequest


class FaultKind(StrEnum):
    THROTTLE = "throttle"
    ERROR = "error"
    LATENCY = "latency"
    LOST_ANSWER = "lost_answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next `times` calls of `operation` (None: to all until it is cleared).

    `match` narrows it to calls with these parameters: equal to a value, or a list that contains it.
    `status`, `code` and `message` are the answer's, for "error"; `seconds` the delay, for "latency".
    """

    operation: str
    fault: FaultKind
    times: int | None = 1
    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
    seconds: float = 0.0
    code: str | None = None
    message: str | None = None
    match: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Raises ValueError, saying what is wrong, for anything that is no fault."""
        try:
            fault = cls(**{**document, "fault": FaultKind(document.get("fault", ""))})
        except TypeError as error:
            raise ValueError(
                f'a fault needs "operation" and "fault" and no field but those documented: {error}'
            ) from error
        if fault.times is not None and fault.times < 1:
            raise ValueError(f'"times" is at least 1, or null for "until cleared", not {fault.times!r}')
        return fault

    def applies_to(self, request: AwsRequest) -> bool:
        return self.operation == request.name and all(
            value in request.ids(name) or request.text(name) == value for name, value in self.match.items()
        )

    def error_for(self, request: AwsRequest) -> AwsError:
        """What the caller is told, of the kinds that answer with an error."""
        if self.fault is FaultKind.THROTTLE:
            return throttled(request.service)
        usual = unavailable(request.service, self.status)
        return AwsError(self.code or usual.code, self.message or usual.message, self.status)


class Faults:
    """The faults still to happen, in the order they were asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: AwsRequest) -> Fault | None:
        """The first fault that applies to this call; it is used up by one."""
        with self._lock:
            for position, fault in enumerate(self._faults):
                if fault.applies_to(request):
                    self._use(position, fault)
                    return fault
        return None

    def _use(self, position: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times == 1:
            del self._faults[position]
        else:
            self._faults[position] = replace(fault, times=fault.times - 1)

    def document(self) -> dict[str, Any]:
        """What `GET /_guard/faults` answers: the faults left, with the times left."""
        with self._lock:
            return {"faults": [asdict(fault) for fault in self._faults]}
