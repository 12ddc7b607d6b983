"""What a version has to be like to be released: a policy that is declared, and the judgement by it.

All is judged by metadata: what CodeArtifact says of a version and of the one before. Of the promise that
semantic versioning makes, only this much can be checked: that what a package asks of its users changes with
its major number alone. Whether its code has changed incompatibly, the builds of its dependents tell.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from fnmatch import fnmatchcase

import msgspec

from signalbox.errors import RejectedError
from signalbox.packages.coordinates import Format, PackageVersion, check_pattern
from signalbox.packages.dependents import Dependency, Kind
from signalbox.packages.findings import Finding, Level, Objection
from signalbox.packages.licenses import read_expression, weigh
from signalbox.packages.planning import Reach
from signalbox.packages.ranges.scheme import Range, Version, Width
from signalbox.packages.repositories import License
from signalbox.packages.versions import range_of, read_range, read_version

LEVELS = tuple(Level)
WIDTHS = tuple(Width)
USED = frozenset({Kind.RUNTIME, Kind.PEER, Kind.OPTIONAL})
"""Kinds of dependency that reach those who use a package."""
MOST_AFFECTED = 1_000
"""More builds do not fit into the record of a release, 400 KB (DynamoDB Developer Guide, "Quotas")."""
MOST_RECORDED = 100
"""Objections, likewise."""
MOST_NAMED = 5
"""Objections, in a sentence."""


class Licenses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which licenses a version may have.

    Attributes:
        allow: SPDX identifiers; none: all that are not denied.
        unlisted: where ``allow`` names some, of the others.
        unknown: of what is no SPDX expression and has no alias.
        missing: where CodeArtifact names no licence.
        aliases: what packages call a licence → its SPDX expression.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    unlisted: Level = Level.DENY
    unknown: Level = Level.WARN
    missing: Level = Level.WARN
    aliases: dict[str, str] = {}


class Denied(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Packages that are neither released nor depended on.

    Attributes:
        package: a pattern for keys, as in ``npm/*/left-pad``.
        versions: a range of the format's, "" for all.
        why: for whoever is told.
    """

    package: str
    versions: str = ""
    why: str = ""


class Dependencies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version may depend on, for its users: dependencies to develop or test it are its own affair.

    Attributes:
        missing: of a package that is not in the repository.
        unshared: of one that is, but not in the shared repository: who reads there can't install it.
        pinned: how narrow a requirement must be.
        unpinned: of one that is wider.
    """

    missing: Level = Level.DENY
    unshared: Level = Level.WARN
    pinned: Width = Width.BOUNDED
    unpinned: Level = Level.ALLOW


class Promise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What semantic versioning promises, against the highest version below.

    Attributes:
        major: of a version that begins a new line (`Version.line`), as 2.0.0 after 1.9.0.
        breaking: of one that does not, though it asks something else of its users than before.
    """

    major: Level = Level.ALLOW
    breaking: Level = Level.DENY


class Findings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What follows from what is found on the way, by its code.

    Most the planner finds (`signalbox.packages.planning.plan`); ``malformed-dependency`` is of one that can't
    be read, ``no-project`` of a dependent that nothing builds (`signalbox.packages.owners`).
    """

    cycle: Level = Level.DENY
    cycle_in_tests: Level = Level.ALLOW
    cycle_with_published: Level = Level.WARN
    malformed_dependency: Level = Level.DENY
    no_project: Level = Level.DENY
    too_many_affected: Level = Level.DENY
    unknown_package: Level = Level.WARN
    unparsable_range: Level = Level.DENY
    unparsable_version: Level = Level.DENY

    def level_of(self, code: str) -> Level:
        """One that nobody has thought of stops the release."""
        level: Level = getattr(self, code.replace("-", "_"), Level.DENY)
        return level


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A release policy.

    Attributes:
        rebuild: which dependents are rebuilt.
    """

    licenses: Licenses = Licenses()
    denied: tuple[Denied, ...] = ()
    dependencies: Dependencies = Dependencies()
    promise: Promise = Promise()
    findings: Findings = Findings()
    rebuild: Reach = Reach()


def parse_policy(text: str | bytes) -> Policy:
    """Reads a declaration, in JSON. ``{}`` is the default policy.

    Raises:
        RejectedError: with the place. ``unreadable`` (no JSON), ``malformed`` (unknown, missing or of a wrong
            type), ``unknown-license``, ``malformed-pattern``, ``malformed-range``, ``bad-limit``.
    """
    try:
        policy = msgspec.json.decode(text, type=Policy)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("malformed", where.strip("`") or "$", what) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RejectedError("unreadable", "$", f"the policy can't be read as JSON: {error}") from error
    _check_licenses(policy.licenses)
    for number, denied in enumerate(policy.denied):
        _check_denied(denied, f"$.denied[{number}]")
    if not 1 <= policy.rebuild.most <= MOST_AFFECTED:
        raise RejectedError("bad-limit", "$.rebuild.most", f"expected 1 to {MOST_AFFECTED:,}")
    return policy


def _check_licenses(licenses: Licenses) -> None:
    named = [
        (f"$.licenses.{member}[{number}]", text)
        for member in ("allow", "deny")
        for number, text in enumerate(getattr(licenses, member))
    ]
    aliased = [(f"$.licenses.aliases[{name!r}]", text) for name, text in licenses.aliases.items()]
    for where, text in named + aliased:
        if read_expression(text) != text:
            what = f"{text!r} is no SPDX licence as SPDX writes it: see https://spdx.org/licenses"
            raise RejectedError("unknown-license", where, what)
    for where, text in named:
        if " AND " in text or " OR " in text:
            raise RejectedError("unknown-license", where, f"{text!r} is more than one licence: list each")


def _check_denied(denied: Denied, where: str) -> None:
    format_ = check_pattern(denied.package, f"{where}.package")
    if not denied.versions:
        return
    if format_ is None:
        what = "a range is of one format: name it in the package's pattern, or leave the versions out"
        raise RejectedError("malformed-range", f"{where}.versions", what)
    read = range_of(format_, denied.versions)
    if isinstance(read, str):
        raise RejectedError("malformed-range", f"{where}.versions", read)


class Inspected(msgspec.Struct, frozen=True, kw_only=True):
    """A version, as CodeArtifact describes it."""

    version: PackageVersion
    licenses: tuple[License, ...] = ()
    dependencies: tuple[Dependency, ...] = ()


class Judgement(msgspec.Struct, frozen=True):
    """The verdict, and what led to it, the gravest first."""

    verdict: Level
    objections: tuple[Objection, ...] = ()

    @classmethod
    def of(cls, objections: Iterable[Objection]) -> "Judgement":
        """The gravest decides. What is allowed is not mentioned."""
        told = {each: None for each in objections if each.level is not Level.ALLOW}
        ordered = sorted(told, key=lambda each: -LEVELS.index(each.level))
        return cls(ordered[0].level if ordered else Level.ALLOW, tuple(ordered))

    @property
    def recorded(self) -> tuple[Objection, ...]:
        """The objections as the record has them: the gravest, and how many more there are."""
        kept, more = self.objections[:MOST_RECORDED], self.objections[MOST_RECORDED:]
        if not more:
            return kept
        return (*kept, Objection("more-objections", more[0].level, f"and {len(more)} more like these"))

    @property
    def detail(self) -> str:
        """Why the release stops, for a person; "" where it goes on."""
        denied = [each.text for each in self.objections if each.level is Level.DENY]
        rest = f"; and {len(denied) - MOST_NAMED} more" if len(denied) > MOST_NAMED else ""
        return "; ".join(denied[:MOST_NAMED]) + rest


def judge_version(
    policy: Policy,
    inspected: Inspected,
    previous: Inspected | None = None,
    known: AbstractSet[str] | None = None,
    shared: AbstractSet[str] | None = None,
) -> Judgement:
    """Whether a version may be released, dependents aside.

    Args:
        previous: the highest version below (`signalbox.packages.versions.previous`); None for a first one.
        known: the keys of those of its dependencies that are in the repository, upstreams included; None
            where nobody has looked.
        shared: likewise, of those in the shared repository.
    """
    return Judgement.of(
        [
            *_of_licenses(policy.licenses, inspected),
            *_of_denied(policy, inspected),
            *_of_dependencies(policy, inspected, known, shared),
            *(_of_promise(policy.promise, inspected, previous) if previous else ()),
        ]
    )


def judge_findings(policy: Policy, findings: Iterable[Finding]) -> Judgement:
    """Whether a release may go on, with what its planning has found."""
    return Judgement.of(
        Objection(each.code, policy.findings.level_of(each.code), each.text) for each in findings
    )


def _of_licenses(licenses: Licenses, inspected: Inspected) -> Iterator[Objection]:
    shown = inspected.version.shown
    if not inspected.licenses:
        yield Objection("license-missing", licenses.missing, f"{shown} names no licence")
    aliases = {name.strip().lower(): expression for name, expression in licenses.aliases.items()}
    for license_ in inspected.licenses:  # where there are several, all hold
        expression = read_expression(license_.name, license_.url, aliases)
        if expression is None:
            text = f"{shown}: {license_.name!r} is no licence that SPDX knows, and no alias of one"
            yield Objection("license-unknown", licenses.unknown, text)
            continue
        level = LEVELS[weigh(expression, lambda one: LEVELS.index(_level_of(licenses, one)))]
        yield Objection("license", level, f"{shown} has the licence {expression}")


def _level_of(licenses: Licenses, one: str) -> Level:
    """Of a licence, with or without an exception. An exception permits more: the bare licence will do."""
    bare, _, exception = one.partition(" WITH ")
    if one in licenses.deny or (bare in licenses.deny and not (exception and one in licenses.allow)):
        return Level.DENY
    return Level.ALLOW if not licenses.allow or {one, bare} & set(licenses.allow) else licenses.unlisted


def _of_denied(policy: Policy, inspected: Inspected) -> Iterator[Objection]:
    package, shown = inspected.version.package, inspected.version.shown
    version = read_version(package.format, inspected.version.version, package.key)
    for denied in policy.denied:
        because = f" ({denied.why})" if denied.why else ""
        if fnmatchcase(package.key, denied.package) and _is_in(package.format, denied, version):
            yield Objection("denied", Level.DENY, f"{shown} is denied{because}")
        for each in inspected.dependencies:
            if fnmatchcase(each.package, denied.package) and _begins_in(package.format, denied, each):
                text = f"{shown} depends on {each.package} {each.requirement}, which is denied{because}"
                yield Objection("denied-dependency", Level.DENY, text)


def _is_in(format_: Format, denied: Denied, version: Version | Finding) -> bool:
    """A version that can't be read counts as denied, where not all of its package are."""
    wanted = _denied_range(format_, denied)
    return wanted is None or isinstance(version, Finding) or wanted.admits(version)


def _begins_in(format_: Format, denied: Denied, dependency: Dependency) -> bool:
    """Whether the requirement begins with a denied version: the lowest that it names could be picked."""
    wanted = _denied_range(format_, denied)
    if wanted is None:
        return True
    asked = read_range(format_, dependency.requirement, dependency.package, "")
    return not isinstance(asked, Finding) and any(map(wanted.admits, asked.floors))


def _denied_range(format_: Format, denied: Denied) -> Range | None:
    if not denied.versions:
        return None
    read = range_of(format_, denied.versions)
    return None if isinstance(read, str) else read


def _of_dependencies(
    policy: Policy,
    inspected: Inspected,
    known: AbstractSet[str] | None,
    shared: AbstractSet[str] | None,
) -> Iterator[Objection]:
    key, shown = inspected.version.package.key, inspected.version.shown
    for each in inspected.dependencies:
        if each.kind not in USED:
            continue
        if known is not None and each.package not in known:
            text = f"{shown} depends on {each.package}, which is not in the repository"
            yield Objection("missing-dependency", policy.dependencies.missing, text)
        elif shared is not None and each.package not in shared:
            text = f"{shown} depends on {each.package}, which the shared repository does not have"
            yield Objection("unshared-dependency", policy.dependencies.unshared, text)
        asked = read_range(inspected.version.package.format, each.requirement, key, each.package)
        if isinstance(asked, Finding):
            yield Objection(asked.code, policy.findings.level_of(asked.code), asked.text)
        elif WIDTHS.index(asked.width) > WIDTHS.index(policy.dependencies.pinned):
            text = (
                f"{shown} depends on {each.package} {each.requirement or '(any version)'}, which is "
                f"{asked.width}: expected {policy.dependencies.pinned}"
            )
            yield Objection("unpinned-dependency", policy.dependencies.unpinned, text)


def _of_promise(promise: Promise, inspected: Inspected, previous: Inspected) -> Iterator[Objection]:
    package = inspected.version.package
    new = read_version(package.format, inspected.version.version, package.key)
    old = read_version(package.format, previous.version.version, package.key)
    if isinstance(new, Finding) or isinstance(old, Finding) or not (new.line and old.line):
        return
    if new.line != old.line:
        text = f"{inspected.version.shown} begins a new line after {old}: dependents may have to change"
        yield Objection("major-version", promise.major, text)
        return
    for what in _asked_anew(package.format, previous.dependencies, inspected.dependencies):
        text = f"{inspected.version.shown} {what}, though its number promises to be compatible with {old}"
        yield Objection("breaking-dependency", promise.breaking, text)


def _asked_anew(
    format_: Format, before: tuple[Dependency, ...], after: tuple[Dependency, ...]
) -> Iterator[str]:
    """What users have to change. npm installs a dependency for each that needs it, so that only peers are
    their concern; elsewhere all of a program share one version of a package."""
    theirs = {Kind.PEER} if format_ is Format.NPM else USED
    known = {each.package: each for each in before if each.kind in theirs}
    for each in after:
        if each.kind not in theirs:
            continue
        if each.package in known:
            if _moved(format_, known[each.package], each):
                was = known[each.package].requirement
                yield f"requires {each.package} {each.requirement} instead of {was}"
        elif each.kind is Kind.PEER:
            yield f"asks its users for {each.package} {each.requirement}"


def _moved(format_: Format, before: Dependency, after: Dependency) -> bool:
    """Whether no version suits both requirements, as far as one can tell by where they begin."""
    old = read_range(format_, before.requirement, before.package, "")
    new = read_range(format_, after.requirement, after.package, "")
    if isinstance(old, Finding) or isinstance(new, Finding):
        return before.requirement != after.requirement
    if not (old.floors and new.floors) or {e.line for e in old.floors} & {e.line for e in new.floors}:
        return False
    meet = any(map(old.admits, new.floors)) or any(map(new.admits, old.floors))
    return old.soft or new.soft or not meet
