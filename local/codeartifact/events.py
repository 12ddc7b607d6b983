"""Changes as the events AWS sends ("CodeArtifact event format and example", CodeArtifact User Guide)."""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from local.codeartifact.model import Change, PackageVersion

DETAIL_TYPE = "CodeArtifact Package Version State Change"
# A sequence number goes up by one, or by one more than a number of these.
LARGEST_GAP = 3


@dataclass(slots=True)
class EventWriter:
    """Writes events, numbered for each package of a repository: rising, with gaps, the same for a seed.

    A package that is deleted and comes back goes on where it was.
    """

    seed: int = 0
    gaps: bool = True
    _numbers: dict[str, int] = field(default_factory=dict)
    _random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.switch(seed=self.seed, gaps=self.gaps)

    def switch(self, *, seed: int, gaps: bool) -> None:
        """Other gaps from now on; the numbers so far are kept."""
        self.seed, self.gaps = seed, gaps
        self._random = Random(seed)  # noqa: S311 - the same gaps for the same seed, nothing secret

    def write(self, change: Change, now: datetime) -> list[dict[str, Any]]:
        """One event for each account that hears of it: the domain's owner, the repository's administrator.

        Both have the same number and the same deduplication id.
        """
        domain = change.repository.domain
        arn = change.repository.package_arn(change.key)
        detail = _detail(change, self._next(arn))
        detail["eventDeduplicationId"] = base64.b64encode(secrets.token_bytes(32)).decode()
        accounts = dict.fromkeys([domain.owner, change.repository.administrator])
        return [
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": DETAIL_TYPE,
                "source": "aws.codeartifact",
                "account": account,
                "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": domain.region,
                "resources": [arn],
                "detail": detail,
            }
            for account in accounts
        ]

    def _next(self, arn: str) -> int:
        first = arn not in self._numbers
        gap = 0 if first or not self.gaps else self._random.randint(0, LARGEST_GAP)
        self._numbers[arn] = self._numbers.get(arn, 0) + 1 + gap
        return self._numbers[arn]


def _detail(change: Change, number: int) -> dict[str, Any]:
    repository = change.repository
    version = change.after or change.before
    if version is None:
        raise ValueError("a change is from something or to something")
    return {
        "domainName": repository.domain.name,
        "domainOwner": repository.domain.owner,
        "repositoryName": repository.name,
        "repositoryAdministrator": repository.administrator,
        "packageFormat": change.key.format,
        "packageNamespace": change.key.namespace or None,
        "packageName": change.key.name,
        "packageVersion": version.version,
        "packageVersionState": version.status.value,
        "packageVersionRevision": version.revision,
        "changes": _changes(change.before, change.after),
        "operationType": _operation(change),
        "sequenceNumber": number,
    }


def _operation(change: Change) -> str:
    if change.before is None:
        return "Created"
    return "Deleted" if change.after is None else "Updated"


def _changes(before: PackageVersion | None, after: PackageVersion | None) -> dict[str, Any]:
    old = before.assets if before else {}
    new = after.assets if after else {}
    return {
        "assetsAdded": len(new.keys() - old.keys()),
        "assetsRemoved": len(old.keys() - new.keys()),
        "metadataUpdated": after is not None and (before is None or before.metadata != after.metadata),
        "assetsUpdated": sum(old[name].sha256 != new[name].sha256 for name in old.keys() & new.keys()),
        "statusChanged": before is None or after is None or before.status != after.status,
    }
