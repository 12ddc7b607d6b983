"""Searching: what somebody typed, the SQL of it, and what is shown of what was found."""

from typing import Any

import pytest

from signalbox.documents.searching import (
    MOST_MATCHES,
    MOST_WORDS,
    Query,
    literal,
    match_of,
    snippet,
    statement,
    words_of,
)

KANA = "いろはにほへとちりぬるをわかよたれそつねならむうゐの"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", ()),
        ("  ... !? ", ()),
        ("Invoice", ("invoice",)),
        ("two  words\nTWO", ("two", "words")),
        ('"quoted", (bracketed).', ("quoted", "bracketed")),
        ("e-mail a.b.pdf o'neill", ("e-mail", "a.b.pdf", "o'neill")),
        ("«Ünal» „größe”", ("ünal", "größe")),
        ("हिन्दी ภาษาไทย", ("हिन्दी", "ภาษาไทย")),
        ("「東京都」", ("東京都",)),
        ("🦄", ()),
        ("a' OR 1=1 --", ("a", "or", "1=1")),
    ],
)
def test_words_are_what_is_between_spaces(typed: str, words: tuple[str, ...]) -> None:
    assert words_of(typed) == words


def test_only_so_many_words_are_asked_for() -> None:
    assert len(words_of(" ".join(map(str, range(50))))) == MOST_WORDS


@pytest.mark.parametrize(
    ("text", "expected"), [("", "''"), ("a", "'a'"), ("o'neill", "'o''neill'"), ("'", "''''"), ("\\", "'\\'")]
)
def test_a_literal_ends_where_the_text_does(text: str, expected: str) -> None:
    assert literal(text) == expected


@pytest.mark.parametrize(
    ("asked", "contained"),
    [
        ({"words": ("o'neill",)}, "strpos(words, 'o''neill') > 0"),
        ({"bucket": "b"}, "FROM documents WHERE CAST(bucket AS varchar) = 'b'"),
        ({"prefix": "it's/"}, "WHERE strpos(CAST(key AS varchar), 'it''s/') = 1"),
        ({"entity": " Ada  Lovelace "}, "strpos(entity_names, '\nada lovelace\n') > 0"),
        ({"label": "Cat"}, "strpos(label_names, '\ncat\n') > 0"),
        ({"media_type": "text/plain"}, "media_type = 'text/plain'"),
        ({"limit": 10**9}, f"LIMIT {MOST_MATCHES}"),
        ({"limit": 0}, "LIMIT 1"),
    ],
)
def test_what_is_asked_is_in_the_statement(asked: dict[str, Any], contained: str) -> None:
    assert contained in statement(Query(**asked))


def test_what_changes_from_version_to_version_does_not_keep_a_row_from_counting() -> None:
    """Else an older generation that matches would be shown, where the newest does not match."""
    every_filter: dict[str, Any] = {"words": ("w",), "entity": "e", "label": "l", "media_type": "m"}
    source = statement(Query(**every_filter, bucket="b")).partition("FROM documents")[2]

    assert source.split("\n")[0].strip() == "WHERE CAST(bucket AS varchar) = 'b'"


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("short", ("short",), "short"),
        ("", (), ""),
        ("no such word here", ("other",), "no such word…"),
        ("line\n  breaks\tgo", (), "line breaks go"),
        ("one two three four five six seven eight", ("six",), "…five six seven…"),
        ("ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT", ("six",), "…FIVE SIX SEVEN…"),
        (
            "いろはにほへとちりぬるをわかよたれそつねならむうゐの",
            ("わか",),
            "…ちりぬるをわかよたれそつねならむ…",
        ),
    ],
)
def test_a_snippet_is_the_text_around_the_first_word(
    text: str, words: tuple[str, ...], expected: str
) -> None:
    assert snippet(text, words, 16) == expected


def test_a_match_is_a_row_of_the_answer() -> None:
    row = {
        "bucket": "b",
        "key": "k",
        "version": "v",
        "batch": "3",
        "page": "7",
        "media_type": "image/png",
        "score": "2.0",
        "text": "",
        "label_names": "\ncat\nhouse cat\n",
    }
    match = match_of(row, ("cat",))

    assert (match.batch, match.page, match.score, match.labels) == (3, 7, 2.0, ("cat", "house cat"))
