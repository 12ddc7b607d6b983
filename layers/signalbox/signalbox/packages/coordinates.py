"""What a package and a version of it are called, the same however somebody spells them."""

import re
from enum import StrEnum
from typing import Self

import msgspec

from signalbox.errors import RejectedError

NAME = re.compile(r"[^#/\s]{1,255}")
"""PackageName, PackageNamespace and PackageVersion, CodeArtifact API Reference."""
SEPARATORS = re.compile(r"[-_.]+")


class Format(StrEnum):
    """The formats whose versions this program can read. CodeArtifact has others."""

    NPM = "npm"
    PYPI = "pypi"
    MAVEN = "maven"
    NUGET = "nuget"
    GENERIC = "generic"


WITH_NAMESPACE = frozenset({Format.MAVEN, Format.GENERIC})
"""Always have one; npm has one or none (PackageDependency, CodeArtifact API Reference)."""
WITHOUT_NAMESPACE = frozenset({Format.PYPI, Format.NUGET})


class Package(msgspec.Struct, frozen=True, order=True):
    """A package, whatever its versions.

    Attributes:
        namespace: npm's scope without the ``@``, Maven's groupId; "" where there is none.
        name: as its format normalises it.
    """

    format: Format
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """Its name in the ledger, as in ``npm/acme/ui`` or ``pypi//requests``. No part can hold a slash."""
        return f"{self.format}/{self.namespace}/{self.name}"

    @property
    def shown(self) -> str:
        """As its ecosystem writes it: ``@acme/ui``, ``org.acme:core``, ``requests``."""
        if not self.namespace:
            return self.name
        if self.format is Format.NPM:
            return f"@{self.namespace}/{self.name}"
        return f"{self.namespace}{':' if self.format is Format.MAVEN else '/'}{self.name}"

    @classmethod
    def parse(cls, format_: str, namespace: str | None, name: str, where: str = "$") -> Self:
        """A package as CodeArtifact names it, in its calls and in its events.

        Names are made the same as their registries do: PyPI's by PEP 503, NuGet's in lower case. npm's and
        Maven's stay as they are: old npm packages with capitals are others than those without.

        Args:
            where: the place of the package in the input, for the error.

        Raises:
            RejectedError: ``unknown-format``, ``malformed-name``, ``missing-namespace`` or
                ``unexpected-namespace``, with the place of the part that is wrong.
        """
        kind = _format(format_, f"{where}.format")
        space = _namespace(kind, namespace or "", f"{where}.namespace")
        return cls(kind, space, _normalised(kind, _checked(name, f"{where}.package")))

    @classmethod
    def parse_key(cls, key: str, where: str = "$") -> Self:
        """The package of a `key`.

        Raises:
            RejectedError: ``malformed-key``, or as `parse`.
        """
        match key.split("/"):
            case [format_, namespace, name]:
                return cls.parse(format_, namespace, name, where)
        what = f"{key!r} is no package: expected format/namespace/name, as in npm/acme/ui"
        raise RejectedError("malformed-key", where, what)


class PackageVersion(msgspec.Struct, frozen=True, order=True):
    """One version of a package.

    Attributes:
        version: as CodeArtifact has it, since its calls want just that. `key` tells whether two are the same.
    """

    package: Package
    version: str

    @property
    def key(self) -> str:
        """As in ``npm/acme/ui/1.0.0``. NuGet does not tell capitals apart, the others do."""
        same = self.version.lower() if self.package.format is Format.NUGET else self.version
        return f"{self.package.key}/{same}"

    @property
    def shown(self) -> str:
        """For a person, as in ``@acme/ui 1.0.0``."""
        return f"{self.package.shown} {self.version}"

    @classmethod
    def parse(cls, format_: str, namespace: str | None, name: str, version: str, where: str = "$") -> Self:
        """A version as CodeArtifact names it.

        Raises:
            RejectedError: ``malformed-version``, or as `Package.parse`. Whether the version makes sense in
                its ecosystem is another question (`signalbox.packages.versions`).
        """
        package = Package.parse(format_, namespace, name, where)
        if not NAME.fullmatch(version):
            what = f"{version!r} is no version: expected 1 to 255 characters, none of them #, / or a space"
            raise RejectedError("malformed-version", f"{where}.version", what)
        return cls(package, version)

    @classmethod
    def parse_key(cls, key: str, where: str = "$") -> Self:
        """The version of a `key`.

        Raises:
            RejectedError: ``malformed-key``, or as `parse`.
        """
        match key.split("/"):
            case [format_, namespace, name, version]:
                return cls.parse(format_, namespace, name, version, where)
        what = f"{key!r} is no version: expected format/namespace/name/version, as in npm/acme/ui/1.0.0"
        raise RejectedError("malformed-key", where, what)


def check_pattern(pattern: str, where: str) -> Format | None:
    """The format of a pattern for packages' keys, as in ``npm/acme/*``; None for ``*/*/ui``, which is of all.

    Raises:
        RejectedError: ``malformed-pattern``: no key can match it.
    """
    format_, _, rest = pattern.partition("/")
    if rest.count("/") != 1 or (format_ != "*" and format_ not in list(Format)):
        what = f"{pattern!r} matches no package: expected format/namespace/name, as in npm/acme/* or pypi//*"
        raise RejectedError("malformed-pattern", where, what)
    return None if format_ == "*" else Format(format_)


def _format(text: str, where: str) -> Format:
    try:
        return Format(text)
    except ValueError:
        what = f"{text!r} is a format whose versions this program can't read: it reads {', '.join(Format)}"
        raise RejectedError("unknown-format", where, what) from None


def _namespace(kind: Format, text: str, where: str) -> str:
    if not text:
        if kind in WITH_NAMESPACE:
            raise RejectedError("missing-namespace", where, f"a {kind} package has a namespace")
        return ""
    if kind in WITHOUT_NAMESPACE:
        raise RejectedError(
            "unexpected-namespace", where, f"a {kind} package has no namespace, yet here is {text!r}"
        )
    return _checked(text.removeprefix("@") if kind is Format.NPM else text, where)


def _checked(text: str, where: str) -> str:
    if not NAME.fullmatch(text):
        what = f"{text!r} is no name: expected 1 to 255 characters, none of them #, / or a space"
        raise RejectedError("malformed-name", where, what)
    return text


def _normalised(kind: Format, name: str) -> str:
    if kind is Format.PYPI:
        return SEPARATORS.sub("-", name).lower()  # PEP 503, "Normalized Names"
    return name.lower() if kind is Format.NUGET else name
