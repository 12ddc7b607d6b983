import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import RejectedError
from signalbox.packages.coordinates import Format, Package, PackageVersion


@pytest.mark.parametrize(
    ("given_as", "key", "shown"),
    [
        (("npm", None, "ui"), "npm//ui", "ui"),
        (("npm", "acme", "ui"), "npm/acme/ui", "@acme/ui"),
        (("npm", "@acme", "ui"), "npm/acme/ui", "@acme/ui"),
        (("npm", "", "JSONStream"), "npm//JSONStream", "JSONStream"),
        (("pypi", None, "Zope.Interface__X"), "pypi//zope-interface-x", "zope-interface-x"),
        (("maven", "org.acme", "Core"), "maven/org.acme/Core", "org.acme:Core"),
        (("nuget", "", "Newtonsoft.Json"), "nuget//newtonsoft.json", "newtonsoft.json"),
        (("generic", "tools", "cli"), "generic/tools/cli", "tools/cli"),
    ],
)
def test_a_package_has_one_key(given_as: tuple[str, str | None, str], key: str, shown: str) -> None:
    package = Package.parse(*given_as)
    assert (package.key, package.shown) == (key, shown)
    assert Package.parse_key(key) == package


@pytest.mark.parametrize(
    ("given_as", "code", "where"),
    [
        (("cargo", "", "serde"), "unknown-format", "$.detail.format"),
        (("npm", "", ""), "malformed-name", "$.detail.package"),
        (("npm", "a/b", "ui"), "malformed-name", "$.detail.namespace"),
        (("npm", "@", "ui"), "malformed-name", "$.detail.namespace"),
        (("pypi", "", "two words"), "malformed-name", "$.detail.package"),
        (("pypi", "", "x" * 256), "malformed-name", "$.detail.package"),
        (("maven", None, "core"), "missing-namespace", "$.detail.namespace"),
        (("generic", "", "cli"), "missing-namespace", "$.detail.namespace"),
        (("nuget", "acme", "Core"), "unexpected-namespace", "$.detail.namespace"),
    ],
)
def test_bad_input_is_named_with_its_place(
    given_as: tuple[str, str | None, str], code: str, where: str
) -> None:
    with pytest.raises(RejectedError) as rejected:
        Package.parse(*given_as, where="$.detail")
    assert (rejected.value.code, rejected.value.where) == (code, where)


def test_an_unknown_format_is_told_which_are_known() -> None:
    with pytest.raises(RejectedError, match="npm, pypi, maven, nuget, generic"):
        Package.parse("swift", "apple", "nio")


@pytest.mark.parametrize("key", ["", "npm", "npm/ui", "npm/acme/ui/1.0.0"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        Package.parse_key(key, "$.package")
    assert (rejected.value.code, rejected.value.where) == ("malformed-key", "$.package")


def test_a_version_has_one_key() -> None:
    version = PackageVersion.parse("nuget", None, "Core", "1.0.0-RC.1")
    assert version.key == "nuget//core/1.0.0-rc.1"
    assert version.version == "1.0.0-RC.1"
    assert version.shown == "core 1.0.0-RC.1"
    assert PackageVersion.parse("npm", "", "ui", "1.0.0-RC.1").key == "npm//ui/1.0.0-RC.1"


@pytest.mark.parametrize("version", ["", "1 0", "1/0", "1#0", "1" * 256])
def test_a_version_without_a_name(version: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        PackageVersion.parse("npm", "", "ui", version)
    assert (rejected.value.code, rejected.value.where) == ("malformed-version", "$.version")


def test_what_is_no_key_of_a_version() -> None:
    with pytest.raises(RejectedError, match="format/namespace/name/version"):
        PackageVersion.parse_key("npm//ui")


NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True)


@given(st.sampled_from(Format), NAMES, NAMES, NAMES)
def test_a_key_is_read_back(format_: Format, namespace: str, name: str, version: str) -> None:
    space = "" if format_ in {Format.PYPI, Format.NUGET} else namespace
    read = PackageVersion.parse(format_, space, name, version)
    again = PackageVersion.parse_key(read.key)
    assert again.package == read.package
    assert again.key == read.key
