"""Copies a version into the shared repository: once a claim, and never another revision than was built.

Who promotes claims it first, for `LEASE_SECONDS`; whoever comes meanwhile has to come again. Who takes over
an old claim does not know what became of it, so it looks whether the version is there before it copies.
CodeArtifact copies the revision that it is told, or nothing; what is there already it leaves alone, whether
it is the same, which counts as done, or differs. So a copy too many would do no harm either.

A version that was published anew meanwhile is not promoted: it was not built. It has another round, which the
message about it begins.
"""

import msgspec

from signalbox.clock import Clock, iso
from signalbox.errors import InvariantError, ThrottledError, UnavailableError
from signalbox.ledger.records import RecordStore
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.pinning import change_of
from signalbox.packages.releases import (
    Promote,
    Promoted,
    PromotionClaimed,
    PromotionPutOff,
    PromotionRefused,
    State,
    advance,
    due,
)
from signalbox.packages.repositories import Copied, Description, Repositories, Status

LEASE_SECONDS = 45.0
"""Shorter than the state machine tries again (``PromoteVersion``), so that a crash needs nobody."""
COPY_SECONDS = 15.0
"""A copy takes no longer: one attempt, with the timeouts of `signalbox.aws.clients`."""
DONE = frozenset({Copied.COPIED, Copied.IDENTICAL})


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """What the step came to.

    Attributes:
        entry: the release afterwards.
        outcome: as `Copied`; "" where there was nothing to promote any more.
        detail: why nothing was copied, for a person.
    """

    entry: Entry
    outcome: str = ""
    detail: str = ""


class _Claim(msgspec.Struct, frozen=True):
    """What this worker has claimed."""

    entry: Entry
    effect: Promote
    until: float


class PromoteVersion:
    """The use case of packages_promote_version.

    Args:
        shared: the repository that versions are promoted to.
    """

    def __init__(self, ledger: RecordStore, repositories: Repositories, shared: str, clock: Clock) -> None:
        self._releases = Releases(ledger)
        self._repositories = repositories
        self._shared = shared
        self._clock = clock

    def promote(self, task: Task) -> Promotion:
        """Promotes the version, unless somebody has, or this task is of an earlier round or try.

        Raises:
            ThrottledError: nothing was copied. Try again.
            UnavailableError: somebody else promotes it, or AWS did not answer. Try again.
            SignalboxError: AWS refused to show a version, or the ledger to change.
        """
        claim = self._claim(task)
        if isinstance(claim, _Claim):
            return self._carry_out(claim)
        if task.is_of(claim) and claim.release.state is State.PROMOTING:
            until = iso(claim.release.lease_until)
            raise UnavailableError(f"{task.release}: somebody promotes it, until {until} at the latest")
        return Promotion(entry=claim)

    def _claim(self, task: Task) -> _Claim | Entry:
        """The claim; where it is not ours, the release as it is."""
        now = self._clock()
        until = now + LEASE_SECONDS
        effect: Promote | None = None

        def claimed(known: Entry | None) -> Entry | None:
            nonlocal effect
            effect = _promotion_due(known, now) if known and task.is_of(known) else None
            if known is None or effect is None:
                return known
            after = advance(known.release, PromotionClaimed(known.release.round, now, until))
            return msgspec.structs.replace(known, release=after)

        entry = self._releases.change(task.release, claimed)
        if entry is None:
            raise InvariantError(f"{task.release}: the ledger has no release of it")
        return _Claim(entry, effect, until) if effect else entry

    def _carry_out(self, claim: _Claim) -> Promotion:
        entry = claim.entry
        if claim.effect.resumed and not change_of(entry, self._there(entry)):
            return self._promoted(entry, Copied.IDENTICAL)
        described = self._repositories.describe(entry.repository, entry.package_version)
        if changed := change_of(entry, described):
            return self._changed(claim, described, changed)
        copied, said = self._copy(claim)
        if copied is Copied.CHANGED:
            described = self._repositories.describe(entry.repository, entry.package_version)
            return self._changed(claim, described, said)
        if copied not in DONE:
            return self._refused(claim, copied, said)
        return self._verified(claim, copied)

    def _copy(self, claim: _Claim) -> tuple[Copied, str]:
        entry = claim.entry
        if self._clock() > claim.until - COPY_SECONDS:
            raise UnavailableError(f"{entry.release.version}: the claim to promote it is almost out")
        try:
            return self._repositories.copy(
                entry.package_version, claim.effect.revision, entry.repository, self._shared
            )
        except ThrottledError:
            self._releases.advance(entry.release.version, PromotionPutOff(entry.release.round, claim.until))
            raise

    def _there(self, entry: Entry) -> Description | None:
        return self._repositories.describe(self._shared, entry.package_version)

    def _verified(self, claim: _Claim, copied: Copied) -> Promotion:
        """Nothing says that a copy has the revision of its source: whether it is there counts."""
        entry, there = claim.entry, self._there(claim.entry)
        shown = entry.package_version.shown
        if there is None:
            raise UnavailableError(f"{shown} was copied, and is not in {self._shared} yet")
        if there.status is not Status.PUBLISHED:
            text = f"{shown} is in {self._shared}, but {there.status}: nobody can use it there"
            return self._refused(claim, copied, text)
        return self._promoted(entry, copied)

    def _promoted(self, entry: Entry, outcome: Copied) -> Promotion:
        release = entry.release
        after = self._releases.advance(release.version, Promoted(release.round), detail="")
        return Promotion(entry=after, outcome=outcome)

    def _changed(self, claim: _Claim, described: Description | None, what: str) -> Promotion:
        """The source is not what was built. What is published there now has a round of its own."""
        published = described is not None and described.status is Status.PUBLISHED
        revision = described.revision if described and published else ""
        anew = revision if revision != claim.effect.revision else ""
        outcome = Copied.GONE if described is None else Copied.CHANGED
        return self._refused(claim, outcome, what, anew)

    def _refused(self, claim: _Claim, outcome: Copied, detail: str, revision: str = "") -> Promotion:
        release = claim.entry.release
        refused = PromotionRefused(release.round, claim.until, revision)
        after = self._releases.advance(release.version, refused, detail="" if revision else detail)
        return Promotion(entry=after, outcome=outcome, detail=detail)


def _promotion_due(entry: Entry, now: float) -> Promote | None:
    match due(entry.release, now):
        case (Promote() as effect,):
            return effect
    return None
