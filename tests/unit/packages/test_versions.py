import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.packages.coordinates import Format, Package
from signalbox.packages.findings import Finding
from signalbox.packages.ranges.scheme import Version
from signalbox.packages.versions import newest, previous, read_range, read_version, supersedes

UI = Package(Format.NPM, "", "ui")
FORMATS = [
    UI,
    Package(Format.PYPI, "", "ui"),
    Package(Format.MAVEN, "acme", "ui"),
    Package(Format.NUGET, "", "ui"),
    Package(Format.GENERIC, "acme", "ui"),
]
ANY_TEXT = st.text(max_size=30) | st.text("0123456789.-+*xX^~<>=|,[]() abv", max_size=30)


@given(st.sampled_from(Format), ANY_TEXT, ANY_TEXT)
def test_whatever_the_text_nothing_is_raised(format_: Format, version: str, wanted: str) -> None:
    read, asked = read_version(format_, version, "p"), read_range(format_, wanted, "p", "q")
    if isinstance(read, Version) and not isinstance(asked, Finding):
        assert asked.admits(read) in {True, False}
        assert all(isinstance(each, Version) for each in asked.floors)


@pytest.mark.parametrize("format_", Format)
def test_long_texts_are_not_read(format_: Format) -> None:
    read = read_version(format_, "1" * 5_000, "npm//ui")
    asked = read_range(format_, "1 " * 5_000, "npm//app", "npm//ui")
    assert isinstance(read, Finding)
    assert isinstance(asked, Finding)
    assert "5000 characters" in read.text
    assert len(asked.text) < 200


def test_a_finding_says_where() -> None:
    assert read_range(Format.NPM, "latest", "npm//app", "npm//ui") == Finding(
        "unparsable-range",
        "npm//app",
        "npm//app depends on npm//ui: 'latest' is no semver range: expected one like ^1.4.2 or >=1.4 <3; "
        "tags and addresses are none",
    )
    read = read_version(Format.NPM, "one", "npm//ui")
    assert isinstance(read, Finding)
    assert str(read).startswith("unparsable-version: npm//ui: 'one' is no semantic version")


@pytest.mark.parametrize(
    ("package", "published", "expected"),
    [
        (UI, [], None),
        (UI, ["1.10.0", "1.9.0", "1.2.0"], "1.10.0"),
        (UI, ["1.9.5", "2.0.0", "1.9.4"], "2.0.0"),
        (UI, ["2.0.0-beta.1", "1.0.0"], "1.0.0"),
        (UI, ["2.0.0-beta.1", "2.0.0-alpha"], "2.0.0-beta.1"),
        (UI, ["nonsense", "1.0.0"], "1.0.0"),
        (UI, ["nonsense", "more"], "nonsense"),
        (Package(Format.PYPI, "", "ui"), ["1!0.1", "2.0", "3.0rc1"], "1!0.1"),
        (Package(Format.MAVEN, "a", "ui"), ["2.0-SNAPSHOT", "1.0.RELEASE"], "1.0.RELEASE"),
        (Package(Format.NUGET, "", "ui"), ["1.0.0.2", "1.0.0.10"], "1.0.0.10"),
        (Package(Format.GENERIC, "a", "ui"), ["blue", "green"], "blue"),
    ],
)
def test_newest(package: Package, published: list[str], expected: str | None) -> None:
    assert newest(package, published).version == expected


def test_what_can_not_be_read_is_one_finding() -> None:
    found = newest(UI, ["1.0.0", "a", "b", "c", "d", "e"])
    assert found.findings == (
        Finding("unparsable-version", "npm//ui", "npm//ui: no rule of npm reads a, b, c and 2 more"),
    )


def test_ten_thousand_versions() -> None:
    published = [f"{n % 7}.{n % 11}.{n}" for n in range(10_000)]
    highest = max(published, key=lambda each: tuple(map(int, each.split("."))))
    assert newest(UI, published) == (highest, ())


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 3), min_size=1, max_size=8), st.randoms())
def test_the_newest_is_the_same_in_whatever_order(numbers: list[tuple[int, ...]], random: object) -> None:
    texts = [".".join(map(str, each)) for each in numbers]
    for package in FORMATS[:4]:
        assert newest(package, texts).version == newest(package, sorted(texts)).version
        assert newest(package, texts).version == ".".join(map(str, max(numbers)))


def test_previous() -> None:
    published = ["2.0.0", "1.9.0", "2.1.0-beta", "1.10.0", "nonsense"]
    assert previous(UI, "2.1.0", published) == "2.0.0"
    assert previous(UI, "1.10.1", published) == "1.10.0"
    assert previous(UI, "0.1.0", published) is None
    assert previous(UI, "nonsense", published) is None
    assert previous(Package(Format.GENERIC, "a", "ui"), "2.0.0", published) is None


@pytest.mark.parametrize(
    ("newer", "older", "expected"),
    [
        ("1.4.3", "1.4.2", True),
        ("1.4.2", "1.4.3", False),
        ("1.4.2", "1.4.2", False),
        ("2.0.0", "1.4.2", False),
        ("0.3.0", "0.2.9", False),
        ("0.2.9", "0.2.1", True),
        ("1.5.0-beta", "1.4.2", False),
        ("1.5.0-beta.2", "1.5.0-beta.1", True),
        ("1.5.0", "1.5.0-beta.1", True),
        ("nonsense", "1.0.0", True),
    ],
)
def test_supersedes(newer: str, older: str, *, expected: bool) -> None:
    assert supersedes(UI, newer, older) is expected


def test_where_there_is_no_order_the_later_is_newer() -> None:
    tool = Package(Format.GENERIC, "acme", "cli")
    assert supersedes(tool, "blue", "green")
    assert supersedes(tool, "green", "blue")
