"""CodeArtifact's request limits ("Quotas in AWS CodeArtifact"): buckets for each account and Region."""

from __future__ import annotations

import math
from threading import Lock
from typing import TYPE_CHECKING, Any

from local.estate.buckets import Limit, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Requests a second, published. A bucket holds those of one second: AWS doesn't say how long a burst is.
LIMITS: Mapping[str, float] = {
    "CopyPackageVersions": 5,
    "GetAuthorizationToken": 40,
    "GetPackageVersionAsset": 50,
    "ListPackageVersionAssets": 200,
    "ListPackageVersions": 200,
    "ListPackages": 200,
    "PublishPackageVersion": 10,
    "Read": 800,
    "Write": 100,
}
READING = ("Describe", "Get", "List")


class RequestLimits:
    """Enabled at first, with AWS's figures. A call draws on its operation's bucket and on its kind's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self.restore()

    def restore(self) -> None:
        """Back to AWS's figures, every bucket full."""
        with self._lock:
            self._enabled = True
            self._limits = dict(LIMITS)
            self._buckets: dict[tuple[str, str, str], TokenBucket] = {}

    def retry_after(self, operation: str, account: str, region: str) -> int | None:
        """None if the call may pass; else the seconds after which it may, at least 1."""
        kind = "Read" if operation.startswith(READING) else "Write"
        with self._lock:
            if not self._enabled:
                return None
            for name in (operation, kind):
                if name in self._limits and not self._bucket(account, region, name).take(self._clock()):
                    return max(1, math.ceil(1 / self._limits[name]))
        return None

    def change(self, document: dict[str, Any]) -> None:
        """`{"enabled": true, "CopyPackageVersions": 5}`: requests a second; a changed bucket is full again.

        Raises ValueError for anything else; nothing is changed then.
        """
        changes = dict(document)
        enabled = changes.pop("enabled", self._enabled)
        if not isinstance(enabled, bool):
            raise ValueError(f'"enabled" is true or false, not {enabled!r}')  # noqa: TRY004 - the caller's mistake, answered with 400
        for name, figure in changes.items():
            if not isinstance(figure, (int, float)) or isinstance(figure, bool) or figure < 1:
                raise ValueError(f"{name!r}: requests a second, 1 or more, not {figure!r}")
        with self._lock:
            self._enabled = enabled
            self._limits |= changes
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[2] not in changes}

    def document(self) -> dict[str, Any]:
        with self._lock:
            return {"enabled": self._enabled, **self._limits}

    def _bucket(self, account: str, region: str, name: str) -> TokenBucket:
        key, figure = (account, region, name), self._limits[name]
        if key not in self._buckets:
            self._buckets[key] = TokenBucket(Limit(figure, figure), self._clock())
        return self._buckets[key]
