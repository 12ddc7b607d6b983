"""Patterns of names and keys, held against Python's regular expressions and against every short text."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents import globs
from signalbox.documents.globs import MAXIMUM_ALTERNATIVES, Glob, UndecidedError, alphabet_of, literal, texts
from signalbox.errors import RejectedError

ALPHABET = "ab/"
SHORT = [*("".join(each) for size in range(1, 6) for each in product(ALPHABET, repeat=size))]

plain = st.text("ab/*?", min_size=1, max_size=4)
braces = st.lists(st.text("ab*?", max_size=2), min_size=1, max_size=3).map(
    lambda each: f"{{{','.join(each)}}}"
)
patterns = st.lists(plain | braces, min_size=1, max_size=3).map("".join)


def regular(pattern: str) -> re.Pattern[str]:
    """The same pattern, by other means."""
    signs = {"*": ".*", "?": ".", "{": "(?:", ",": "|", "}": ")"}
    return re.compile("".join(signs.get(each, re.escape(each)) for each in pattern), re.DOTALL)


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        ("*", "", True),
        ("*", "a/b/c d+😀", True),
        ("in/*.pdf", "in/a/b.pdf", True),
        ("in/*.pdf", "in/a.PDF", False),
        ("in/*.pdf", "in/a.pdf.gz", False),
        ("*.{pdf,docx}", "a.b.docx", True),
        ("*.{pdf,docx}", "a.doc", False),
        ("report{,-final}.pdf", "report.pdf", True),
        ("report{,-final}.pdf", "report-final.pdf", True),
        ("report{,-final}.pdf", "report-.pdf", False),
        ("{in,out}/{*.pdf,?}", "out/x", True),
        ("{in,out}/{*.pdf,?}", "out/xy", False),
        ("?", "😀", True),
        ("?", "", False),
        ("a?c", "a/c", True),
        (r"\*\?\{\}\\", r"*?{}\ ".strip(), True),
        (r"\*", "a", False),
        (r"{a\,b,c}", "a,b", True),
        (r"{a\,b,c}", "b", False),
        (r"{a\},c}", "a}", True),
        ("a,b", "a,b", True),
        ("a\nb*", "a\nb\n", True),
        ("100%[a]", "100%[a]", True),
        ("100%[a]", "100%a", False),
    ],
)
def test_a_pattern_means_what_it_says(pattern: str, text: str, *, matched: bool) -> None:
    assert Glob.parse(pattern).matches(text) is matched


@pytest.mark.parametrize(
    ("pattern", "where", "advice"),
    [
        ("", "", '"*" for all'),
        ("a{b", "character 2", r"\{"),
        ("{a,{b}}", "character 1", "another one"),
        ("ab}", "character 3", r"\}"),
        ("ab\\", "character 3", r"\\"),
        ("{a\\}", "character 1", "not closed"),
        ("{a,b}" * 7, "more than 64", "several routes"),
    ],
)
def test_a_pattern_that_means_nothing_says_where_and_what_to_write(
    pattern: str, where: str, advice: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        Glob.parse(pattern)
    assert refused.value.code == "malformed-pattern"
    assert where in refused.value.what
    assert advice in refused.value.what


def test_as_many_alternatives_as_are_allowed() -> None:
    glob = Glob.parse("{a,b}" * 6)
    assert MAXIMUM_ALTERNATIVES == 2**6
    assert glob.matches("ababba")
    assert not glob.matches("ababb")


@given(patterns, st.text(ALPHABET + ".", max_size=8))
def test_matches_what_the_regular_expression_does(pattern: str, text: str) -> None:
    assert Glob.parse(pattern).matches(text) == bool(regular(pattern).fullmatch(text))


@given(st.text())
def test_a_literal_matches_itself_and_nothing_longer(text: str) -> None:
    assert literal(text).matches(text)
    assert not literal(text).matches(text + "a")


def test_many_stars_against_a_long_key_take_a_step_a_character() -> None:
    assert not Glob.parse("*a" * 200 + "b").matches("a" * 1_024)


@given(st.lists(patterns, min_size=1, max_size=3))
def test_every_way_to_match_is_found_and_no_other(written: list[str]) -> None:
    made = [Glob.parse(pattern) for pattern in written]
    found = {matched: text for text, matched in reversed(list(texts(made, ALPHABET, most=1_024)))}
    for matched, text in found.items():
        assert matched == {n for n, pattern in enumerate(written) if regular(pattern).fullmatch(text)}
    for text in SHORT:
        matched = frozenset(n for n, pattern in enumerate(written) if regular(pattern).fullmatch(text))
        assert 0 not in matched or len(found[matched]) <= len(text)


def test_texts_are_no_longer_than_may_be() -> None:
    glob = Glob.parse("a" * 5)
    assert [text for text, _ in texts([glob], "a", most=5)] == ["aaaaa"]
    assert list(texts([glob], "a", most=4)) == []


def test_the_empty_text_is_none() -> None:
    assert [text for text, _ in texts([Glob.parse("*")], "ab", most=9)] == ["a"]


def test_one_character_stands_for_all_that_are_not_named() -> None:
    assert alphabet_of([Glob.parse("*.{pdf,x}")]) == "y.dfpx"
    assert alphabet_of([Glob.parse("xyz?")]) == "一xyz"


def test_what_would_take_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAXIMUM_STATES", 1_000)
    involved = Glob.parse("*a" + "?" * 20)
    with pytest.raises(UndecidedError):
        list(texts([involved], "ab", most=1_024))
