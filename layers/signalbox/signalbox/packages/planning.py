"""Which packages a published version affects, and in which order they are rebuilt. Pure, and with reasons.

A package is affected if its newest version depends on the published one in a range that admits it, or so on a
package that is rebuilt. What only builds or tests with another is rebuilt too, but passes nothing on: what it
publishes stays the same.

Admitted is not picked. A build is told which versions it is for, and has to take them: left alone, NuGet
takes the lowest that is admitted, Maven the one recommended, and a lock file the one it had.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from signalbox.packages.coordinates import PackageVersion
from signalbox.packages.dependents import Edge, Index, Kind
from signalbox.packages.findings import Finding
from signalbox.packages.graphs import circles, waves
from signalbox.packages.ranges.scheme import Range, Version
from signalbox.packages.versions import read_range, read_version

PASSED_ON = frozenset({Kind.RUNTIME, Kind.OPTIONAL, Kind.PEER})
"""Kinds of dependency by which a rebuild affects others in turn."""


class Reach(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a release goes.

    Attributes:
        kinds: the kinds of dependency by which a package is affected.
        most: affected packages; with more of them nothing is built.
    """

    kinds: frozenset[Kind] = frozenset(Kind)
    most: int = 1_000


class Reason(msgspec.Struct, frozen=True):
    """Why a package is rebuilt, or is not: a stable code, and a sentence for a person."""

    code: str
    text: str


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is to happen to one dependent, and why.

    Attributes:
        wave: from 0; None where it is not rebuilt.
        after: the rebuilt packages that it waits for.
        reasons: one for each dependency on the published package or on a rebuilt one, and what else holds it
            back.
    """

    package: str
    version: str
    wave: int | None
    after: tuple[str, ...] = ()
    reasons: tuple[Reason, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a published version leads to.

    Attributes:
        published: its key.
        waves: the keys of the packages to be rebuilt: those of a wave at once, one wave after the other.
        decisions: of every dependent that was looked at, also of those left alone; by name.
        findings: what was found wrong. Whether it stops the release the policy says.
    """

    published: str
    waves: tuple[tuple[str, ...], ...]
    decisions: tuple[Decision, ...]
    findings: tuple[Finding, ...] = ()


class _Link(NamedTuple):
    """A dependency on the published package, or on a rebuilt one."""

    on: str
    kind: Kind
    admitted: bool
    reason: Reason


type _Links = Mapping[str, list[_Link]]
type _Graph = dict[str, set[str]]


class _Order(NamedTuple):
    """The affected packages, what each waits for, and when it has its turn."""

    graph: _Graph
    waves: tuple[tuple[str, ...], ...]
    in_circles: frozenset[str]
    findings: tuple[Finding, ...]
    held: Reason
    """Why others of them have no turn."""


def plan(index: Index, published: PackageVersion, reach: Reach | None = None) -> Plan:
    """Plans the release of a version.

    Findings: ``unknown-package`` (the index has not seen the published one), ``unparsable-version``,
    ``unparsable-range`` (the dependent is left out), ``cycle`` (its members and all behind it are left out),
    ``cycle-in-tests`` (they build or test with one another: the order among them is dropped),
    ``cycle-with-published`` (which is there already, so nothing is left out), ``too-many-affected`` (nothing
    is built).
    """
    reach = reach or Reach()
    look = _Look(index, published, reach)
    look.around()
    order = _order(look.links)
    found = [*look.findings, *order.findings, *_circles_with_published(look)]
    if len(order.graph) > reach.most:
        order = order._replace(waves=(), held=_too_many(len(order.graph), reach.most))
        found.append(Finding(order.held.code, look.root, order.held.text))
    return Plan(
        published=published.key,
        waves=order.waves,
        decisions=tuple(_decisions(look, order)),
        findings=tuple(sorted(set(found), key=lambda each: (each.code, each.subject, each.text))),
    )


class _Look:
    """Walks from the published package to its dependents, and on from those that are rebuilt."""

    def __init__(self, index: Index, published: PackageVersion, reach: Reach) -> None:
        self.root = published.package.key
        self.links: defaultdict[str, list[_Link]] = defaultdict(list)
        self.findings: set[Finding] = set()
        self._index = index
        self._format = published.package.format
        self._published = published.version
        self._reach = reach

    def version_of(self, package: str) -> str:
        """What is admitted or not: the published version, or the newest of a dependent."""
        entry = self._index.entries.get(package)
        return self._published if package == self.root else (entry and entry.version) or ""

    def around(self) -> None:
        if self.root not in self._index.entries:
            text = f"{self.root}: the index has not seen it, so what it depends on itself is not known"
            self.findings.add(Finding("unknown-package", self.root, text))
        walk = [self.root]
        walked = {self.root}
        for package in walk:  # grows on the way
            for edge in self._index.dependents(package):
                if edge.dependent == self.root:
                    continue
                link = self._link(package, edge)
                self.links[edge.dependent].append(link)
                if link.admitted and link.kind in PASSED_ON and edge.dependent not in walked:
                    walked.add(edge.dependent)
                    walk.append(edge.dependent)

    def own_links(self) -> list[_Link]:
        """The published package's, on its dependents."""
        entry = self._index.entries.get(self.root)
        return [
            self._link(each.package, Edge(self.root, each.requirement, each.kind))
            for each in (entry.dependencies if entry else ())
            if each.package in self.links
        ]

    def _link(self, package: str, edge: Edge) -> _Link:
        admitted, reason = self._admission(package, edge)
        return _Link(package, edge.kind, admitted, reason)

    def _admission(self, package: str, edge: Edge) -> tuple[bool, Reason]:
        asked = f"{package} {edge.requirement or '(any version)'} ({edge.kind})"
        if edge.kind not in self._reach.kinds:
            return False, Reason("kind-left-out", f"{asked}: the policy leaves this kind of dependency out")
        version = read_version(self._format, self.version_of(package), package)
        if isinstance(version, Finding):
            return False, self._noted(version)
        wanted = read_range(self._format, edge.requirement, edge.dependent, package)
        if isinstance(wanted, Finding):
            return False, self._noted(wanted)
        return _admits(wanted, version, asked)

    def _noted(self, finding: Finding) -> Reason:
        self.findings.add(finding)
        return Reason(finding.code, finding.text)


def _admits(wanted: Range, version: Version, asked: str) -> tuple[bool, Reason]:
    if not wanted.admits(version):
        return False, Reason("not-admitted", f"{asked} does not admit {version}")
    if wanted.soft and version < wanted.floors[0]:
        return False, Reason("recommends-higher", f"{asked} recommends a higher version than {version}")
    return True, Reason("admitted", f"{asked} admits {version}")


def _graph(links: _Links, kinds: frozenset[Kind]) -> _Graph:
    """What each affected package waits for, among the affected ones, by the kinds of dependency."""
    affected = {package for package, own in links.items() if any(each.admitted for each in own)}
    return {
        package: {each.on for each in links[package] if each.admitted and each.kind in kinds} & affected
        for package in affected
    }


def _order(links: _Links) -> _Order:
    graph, firm = _graph(links, frozenset(Kind)), _graph(links, PASSED_ON)
    findings = []
    for members in circles(graph):
        loose = {each: (graph[each] - firm[each]) & set(members) for each in members}
        if any(loose.values()):
            text = f"{', '.join(members)} build or test with one another: the order among them is dropped"
            findings.append(Finding("cycle-in-tests", members[0], text))
        for each, dropped in loose.items():
            graph[each] -= dropped
    hard = circles(graph)
    for members in hard:
        text = f"{', '.join(members)} depend on one another: they are left out, and what depends on them"
        findings.append(Finding("cycle", members[0], text))
    in_circles = frozenset(each for members in hard for each in members)
    behind = Reason("behind-cycle", "it waits for packages that depend on one another")
    return _Order(graph, tuple(waves(graph)), in_circles, tuple(findings), behind)


def _too_many(affected: int, most: int) -> Reason:
    text = f"{affected} packages are affected, and the policy allows {most}: nothing is built"
    return Reason("too-many-affected", text)


def _circles_with_published(look: _Look) -> list[Finding]:
    graph = _graph({**look.links, look.root: look.own_links()}, PASSED_ON)
    return [
        Finding("cycle-with-published", look.root, f"{', '.join(members)} depend on one another")
        for members in circles(graph)
        if look.root in members
    ]


def _decisions(look: _Look, order: _Order) -> Iterator[Decision]:
    turns = {package: number for number, wave in enumerate(order.waves) for package in wave}
    for package in sorted(look.links):
        reasons = [each.reason for each in look.links[package]]
        if package in order.in_circles:
            reasons.append(Reason("in-cycle", "it waits for itself through others: none could be first"))
        elif package in order.graph and package not in turns:
            reasons.append(order.held)
        yield Decision(
            package=package,
            version=look.version_of(package),
            wave=turns.get(package),
            after=tuple(sorted(order.graph[package])) if package in turns else (),
            reasons=tuple(reasons),
        )
