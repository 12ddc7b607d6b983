"""Whose packages are whose, and which project builds them: as their owners declare it. Pure."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from string import Formatter
from typing import Annotated

import msgspec

from signalbox.errors import RejectedError
from signalbox.packages.coordinates import Package, check_pattern
from signalbox.packages.findings import Finding

PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,149}")
"""ProjectName, CodeBuild API Reference."""
NOT_IN_PROJECTS = re.compile(r"[^A-Za-z0-9_-]")
PLACEHOLDERS = ("name", "namespace", "format")


class Declaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an owner declares.

    Attributes:
        packages: patterns for the keys of packages, as in ``npm/acme/*``.
        project: the CodeBuild project that builds one of them, with ``{name}``, ``{namespace}`` and
            ``{format}`` for the package's; what projects' names may not have becomes ``-``. "": none.
        contact: where to reach the owner, for a person.
    """

    packages: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    project: str = ""
    contact: str = ""


class Owner(msgspec.Struct, frozen=True):
    """Somebody who owns packages."""

    name: str
    declared: Declaration

    def project(self, package: str) -> str | Finding:
        """The name of the project that builds a package, by its key; ``no-project`` where there is none."""
        if not self.declared.project:
            text = f"{package}: its owner {self.name} names no project, so nothing builds it"
            return Finding("no-project", package, text)
        made = _project(self.declared.project, Package.parse_key(package))
        if PROJECT.fullmatch(made):
            return made
        text = f"{package}: no project can be called {made!r}, as its owner {self.name} would have it"
        return Finding("no-project", package, text)


class Owners:
    """All owners.

    Raises:
        RejectedError: ``same-pattern``: of two, or twice of one.
    """

    def __init__(self, owners: Iterable[Owner] = ()) -> None:
        known: dict[str, Owner] = {}
        for owner in owners:
            for number, pattern in enumerate(owner.declared.packages):
                if pattern in known:
                    what = f"{pattern!r} is declared by {known[pattern].name} and by {owner.name}"
                    raise RejectedError("same-pattern", f"$.packages[{number}]", what)
                known[pattern] = owner
        self._by_pattern = sorted(known.items(), key=lambda each: (-len(each[0]), each[1].name))

    def of(self, package: str) -> Owner | None:
        """The owner of a package, by its key: of the longest pattern that matches, then the first by name."""
        return next((owner for pattern, owner in self._by_pattern if fnmatchcase(package, pattern)), None)

    def project(self, package: str) -> str | Finding:
        """As `Owner.project`. ``no-project`` also where nobody owns the package."""
        owner = self.of(package)
        if owner is None:
            return Finding("no-project", package, f"{package}: nobody owns it, so nothing builds it")
        return owner.project(package)


def parse_owner(name: str, text: str | bytes) -> Owner:
    """Reads a declaration, in JSON.

    Raises:
        RejectedError: with the place. ``unreadable`` (no JSON), ``malformed`` (unknown, missing or of a wrong
            type), ``malformed-pattern``, ``malformed-project``.
    """
    try:
        declared = msgspec.json.decode(text, type=Declaration)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise RejectedError("malformed", where.strip("`") or "$", what) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RejectedError("unreadable", "$", f"the owner can't be read as JSON: {error}") from error
    for number, pattern in enumerate(declared.packages):
        check_pattern(pattern, f"$.packages[{number}]")
    if declared.project:
        _check_project(declared.project, "$.project")
    return Owner(name, declared)


def _check_project(text: str, where: str) -> None:
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise RejectedError("malformed-project", where, f"{text!r} can't be read: {error}") from error
    for _, field, spec, conversion in parts:
        if field is not None and (field not in PLACEHOLDERS or spec or conversion):
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            what = f"{text!r} asks for {{{field}}}: expected no other placeholders than {known}"
            raise RejectedError("malformed-project", where, what)
    if not PROJECT.fullmatch(text.format(name="xx", namespace="xx", format="xx")):
        what = (
            f"{text!r} names no project: expected 2 to 150 letters, digits, - and _, a letter or digit first"
        )
        raise RejectedError("malformed-project", where, what)


def _project(text: str, package: Package) -> str:
    known = {"name": package.name, "namespace": package.namespace, "format": package.format}
    return text.format(**{name: NOT_IN_PROJECTS.sub("-", value) for name, value in known.items()})
