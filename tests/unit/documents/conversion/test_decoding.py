"""Text in any encoding."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalbox.documents.conversion.decoding import decode, open_text

RUSSIAN = "Съешь ещё этих булок"
GREEK = "Όλοι οι άνθρωποι γεννιούνται"  # noqa: RUF001 - Greek is the point
JAPANESE = "すべての人間は、生まれながらにして自由"
CHINESE = "人人生而自由，在尊严和权利上一律平等。"  # noqa: RUF001 - so are full stops
GERMAN = "Zw\u00f6lf Boxk\u00e4mpfer jagen Viktor quer \u00fcber den gro\u00dfen Sylter Deich"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "utf-8"),
        (RUSSIAN, "utf-8-sig"),
        (RUSSIAN, "utf-16"),
        (RUSSIAN, "utf-32"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (GREEK, "cp1253"),
        (GERMAN, "cp1252"),
        (f"{GERMAN}, {GERMAN}", "cp850"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (CHINESE, "gb18030"),
        ("caf\u00e9", "cp1252"),
        ("Price: 100 \u20ac or \u00a380 \u2013 \u201ctoday\u201d", "cp1252"),
        ("all of it ASCII", "ascii"),
    ],
)
def test_an_encoding_that_nobody_names_is_found(text: str, encoding: str, tmp_path: Path) -> None:
    raw = f"{text}\n".encode(encoding)
    (tmp_path / "text").write_bytes(raw)
    with open_text(tmp_path / "text") as file:
        assert file.read() == f"{text}\n"
    assert decode(raw).removeprefix("\ufeff") == f"{text}\n"


def test_an_encoding_that_is_named_is_taken(tmp_path: Path) -> None:
    raw = "\u017elu\u0165ou\u010dk\u00fd".encode("iso8859-2")
    assert decode(raw, "iso-8859-2") == "\u017elu\u0165ou\u010dk\u00fd"


@pytest.mark.parametrize("named", ["utf-16", "ascii", "no-such", "rot13", "hex"])
def test_who_names_a_wrong_encoding_is_not_believed(named: str) -> None:
    assert decode("caf\u00e9".encode(), named) == "caf\u00e9"


def test_a_named_encoding_that_is_none_is_passed_over() -> None:
    assert decode(GERMAN.encode("cp1252"), "rot13") == GERMAN


def test_utf8_that_is_cut_off_is_utf8(tmp_path: Path) -> None:
    raw = RUSSIAN.encode()[:-1]
    (tmp_path / "text").write_bytes(raw)
    with open_text(tmp_path / "text") as file:
        assert file.read() == f"{RUSSIAN[:-1]}\ufffd"


def test_what_is_foreign_far_behind_counts(tmp_path: Path) -> None:
    """A sample of the beginning would be ASCII, and so UTF-8."""
    (tmp_path / "text").write_bytes(b"plain words\n" * 20_000 + GERMAN.encode("cp1252"))
    with open_text(tmp_path / "text") as file:
        assert file.read().endswith(GERMAN)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0\x1b\ufeff"), max_size=200),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_unicode_is_read_as_it_was_written(text: str, encoding: str, tmp_path: Path) -> None:
    """But for marks, a zero, which may be UTF-16's, and an escape, which ISO 2022 begins with."""
    (tmp_path / "text").write_bytes(text.encode(encoding))
    with open_text(tmp_path / "text") as file:
        assert file.read() == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200))
def test_whatever_bytes_come_text_comes_out(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(raw)
    with open_text(tmp_path / "text") as file:
        file.read()
    decode(raw, "utf-7")
