"""AWS's request limits: token buckets, one set for each Region."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.estate.requests import AwsRequest

type Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket of `size` requests, refilled with `refill` requests a second."""

    size: float
    refill: float

    def __post_init__(self) -> None:
        if self.size < 1 or self.refill <= 0:
            raise ValueError(f"a bucket holds at least 1 request and is refilled: {self}")


# EC2's figures are published ("Request throttling for the Amazon EC2 API"), as are those of ECS's
# UpdateContainerInstancesState and of SSM's GetParameters. Auto Scaling, Elastic Load Balancing and the rest
# of ECS and SSM are throttled too, by figures AWS doesn't publish: these are assumptions. Auto Scaling's
# bucket is shared by all of its operations, describes included.
#
# Comprehend's, Rekognition's and Textract's are the default quotas of us-east-1, in calls a second ("Amazon
# Comprehend endpoints and quotas" and so on, AWS General Reference); other Regions have less, of Textract as
# little as 1. How far a burst may go beyond them isn't said: here by nothing.
LIMITS: Mapping[str, Limit] = {
    "ec2:Describe": Limit(100, 20),
    "ec2:DescribeUnfiltered": Limit(50, 10),
    "ec2:Mutating": Limit(50, 5),
    "ec2:TerminateInstances": Limit(100, 5),
    "autoscaling": Limit(100, 20),
    "elasticloadbalancing": Limit(100, 20),
    "ecs": Limit(100, 20),
    "ecs:UpdateContainerInstancesState": Limit(100, 40),
    "ssm": Limit(100, 20),
    "ssm:GetParameters": Limit(40, 40),
    "comprehend:BatchDetectEntities": Limit(10, 10),
    "comprehend:DetectDominantLanguage": Limit(20, 20),
    "comprehend:DetectEntities": Limit(20, 20),
    "rekognition:DetectLabels": Limit(50, 50),
    "textract:DetectDocumentText": Limit(25, 25),
}
READING = ("Describe", "Get", "List", "Search")


class TokenBucket:
    """Full at first; `now` is in seconds and never runs backwards."""

    def __init__(self, limit: Limit, now: float) -> None:
        self._limit = limit
        self._tokens = limit.size
        self._at = now

    def take(self, now: float) -> bool:
        """One request: False when the bucket holds less than a token."""
        self._tokens = min(self._limit.size, self._tokens + (now - self._at) * self._limit.refill)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def bucket_of(request: AwsRequest, limits: Mapping[str, Limit]) -> str | None:
    """The bucket a request draws on: its operation's own, else its class's (EC2), else its service's."""
    candidates = (request.name, _ec2_class(request), request.service)
    return next((name for name in candidates if name in limits), None)


def _ec2_class(request: AwsRequest) -> str:
    if request.service != "ec2":
        return ""
    if not request.operation.startswith(READING):
        return "ec2:Mutating"
    narrowed = request.parameters.get("Filters") or request.parameters.get("MaxResults")
    if request.operation == "DescribeInstances" and not narrowed:
        return "ec2:DescribeUnfiltered"
    return "ec2:Describe"


class RequestLimits:
    """The buckets of the account. Enabled at first, with AWS's figures."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self.restore()

    def restore(self) -> None:
        """Back to AWS's figures, every bucket full."""
        with self._lock:
            self._enabled = True
            self._limits = dict(LIMITS)
            self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def refill(self) -> None:
        """Every bucket full, its figures kept."""
        with self._lock:
            self._buckets.clear()

    def admits(self, request: AwsRequest) -> bool:
        """Draws a token for this request; False when AWS would throttle it."""
        with self._lock:
            name = bucket_of(request, self._limits) if self._enabled else None
            if name is None:
                return True
            now = self._clock()
            key = (request.region, name)
            bucket = self._buckets.setdefault(key, TokenBucket(self._limits[name], now))
            return bucket.take(now)

    def change(self, document: dict[str, Any]) -> None:
        """`{"enabled": true, "autoscaling": {"size": 50, "refill": 5}}`; buckets that change are full again.

        Raises ValueError for anything else; nothing is changed then.
        """
        changes = dict(document)
        enabled = changes.pop("enabled", self._enabled)
        if not isinstance(enabled, bool):
            raise ValueError(f'"enabled" is true or false, not {enabled!r}')  # noqa: TRY004 - the caller's mistake, answered with 400
        limits = {name: _limit(name, value) for name, value in changes.items()}
        with self._lock:
            self._enabled = enabled
            self._limits |= limits
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[1] not in limits}

    def document(self) -> dict[str, Any]:
        """What `GET /_guard/limits` answers."""
        with self._lock:
            limits = {
                name: {"size": limit.size, "refill": limit.refill} for name, limit in self._limits.items()
            }
            return {"enabled": self._enabled, **limits}


def _limit(name: str, value: object) -> Limit:
    match value:
        case {"size": int() | float() as size, "refill": int() | float() as refill, **rest} if not rest:
            return Limit(size, refill)
        case _:
            raise ValueError(f'{name!r}: a limit is {{"size": requests, "refill": a second}}, not {value!r}')
