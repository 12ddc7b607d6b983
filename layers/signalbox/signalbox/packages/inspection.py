"""Looks at a version and judges it by the policy: the first step of a release.

What is judged is what CodeArtifact says now. If that is not what the release is about any more (the version
is gone, no longer Published, or of another revision), CodeArtifact has sent an event about it, which is on
its way: Withdrawn stops the release, Published begins another round. So nothing is judged and nobody is told.
This try ends, and the next one is counted, so that whatever the event leads to begins an execution of a new
name: also where the version has come back the same, and the event of its coming back overtook the other.
Should no event ever come, the release stays WAITING with the reason in its detail: a retry looks again, and
until then nothing is promoted.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

import msgspec

from signalbox.ledger.records import RecordStore
from signalbox.packages.coordinates import Package, PackageVersion
from signalbox.packages.entries import Entry, Releases, Task
from signalbox.packages.findings import Level, Objection
from signalbox.packages.pinning import change_of
from signalbox.packages.policy import USED, Inspected, Judgement, Policy, judge_findings, judge_version
from signalbox.packages.releases import Judged, Retried, State
from signalbox.packages.repositories import Description, Repositories
from signalbox.packages.versions import previous


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What the step found.

    Attributes:
        entry: the release afterwards.
        verdict: None where there was nothing to be judged any more.
    """

    entry: Entry
    verdict: Level | None = None
    objections: tuple[Objection, ...] = ()


class InspectVersion:
    """The use case of packages_inspect_version.

    Args:
        policy: the one that holds now.
        shared: the repository that versions are promoted to.
    """

    def __init__(
        self, ledger: RecordStore, repositories: Repositories, policy: Callable[[], Policy], shared: str
    ) -> None:
        self._releases = Releases(ledger)
        self._repositories = repositories
        self._policy = policy
        self._shared = shared

    def inspect(self, task: Task) -> Inspection:
        """Judges the version, unless somebody has, or it is not the one of this task any more.

        Raises:
            SignalboxError: AWS did not answer, or refused; or the policy makes no sense.
        """
        entry = self._releases.known(task.release)
        if not task.is_of(entry) or entry.release.state is not State.WAITING:
            return Inspection(entry=entry)
        policy = self._policy()
        described = self._repositories.describe(entry.repository, entry.package_version)
        changed = change_of(entry, described)
        if described is None or changed:
            return Inspection(entry=self._left_to_its_event(entry, changed))
        judgement = self._judged(policy, entry, described)
        judged = Judged(entry.release.round, judgement.verdict)
        after = self._releases.advance(
            task.release, judged, objections=judgement.recorded, detail=judgement.detail
        )
        return Inspection(entry=after, verdict=judgement.verdict, objections=judgement.recorded)

    def _left_to_its_event(self, entry: Entry, changed: str) -> Entry:
        release = entry.release
        another = Retried(release.round, release.tries)
        return self._releases.advance(release.version, another, detail=f"{changed}: its event decides")

    def _judged(self, policy: Policy, entry: Entry, described: Description) -> Judgement:
        repository, version = entry.repository, entry.package_version
        declared = self._repositories.dependencies(repository, version)
        inspected = Inspected(
            version=version, licenses=described.licenses, dependencies=declared.dependencies
        )
        wanted = {each.package for each in declared.dependencies if each.kind in USED}
        known = self._known(repository, wanted)
        shared = self._known(self._shared, wanted & known)
        of_version = judge_version(policy, inspected, self._earlier(repository, version), known, shared)
        of_findings = judge_findings(policy, declared.findings)
        return Judgement.of([*of_version.objections, *of_findings.objections])

    def _known(self, repository: str, packages: AbstractSet[str]) -> frozenset[str]:
        return self._repositories.known(repository, [Package.parse_key(each) for each in sorted(packages)])

    def _earlier(self, repository: str, version: PackageVersion) -> Inspected | None:
        """The version before: only what it asks of its users is compared."""
        package = version.package
        before = previous(package, version.version, self._repositories.versions(repository, package))
        if before is None:
            return None
        earlier = PackageVersion(package, before)
        dependencies = self._repositories.dependencies(repository, earlier).dependencies
        return Inspected(version=earlier, dependencies=dependencies)
