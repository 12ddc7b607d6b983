"""Batches: at most so long, cut in the best place, nothing lost, whatever the script."""

from itertools import accumulate, pairwise

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from signalbox.documents.batching import Page, batches, best_cut, split_by_bytes
from signalbox.documents.models import MAXIMUM_BATCH_CHARACTERS
from signalbox.errors import InvariantError

LIMIT = MAXIMUM_BATCH_CHARACTERS

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
FLAGS = "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7\U0001f1ef\U0001f1f5"
PIECES = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=" \n\r\t.!?a\u3002\u0e01\u0301\u200d\u200b\u0600\ufe0f", max_size=40),
    st.sampled_from(
        [
            "A sentence of some length, to be kept whole. ",
            "Dr. Who? \u201cYes!\u201d (3.14, e.g. here) ",
            "\u79c1\u306f\u732b\u3067\u3042\u308b\u3002\u540d\u524d\u306f\u307e\u3060\u7121\u3044\u3002",
            "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e19\u0e49\u0e33",
            "\u0645\u0631\u062d\u0628\u0627\u061f \u0646\u0639\u0645. ",
            "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f\u0964 ",
            "e\u0301e\u0301\u0302",
            "\u1112\u1161\u11ab\uac00\u11a8",
            "\r\n",
            "x" * 60,
            FAMILY,
            FLAGS,
            "\U0001f44d\U0001f3fd",
            "\ud83d\ude00",
        ]
    ),
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


def cut(text: str, limit: int) -> list[str]:
    return [batch.text for batch in batches(text, limit)]


def characters(text: str) -> list[str]:
    """As a reader sees them: by a library's rules, not by our own."""
    return regex.findall(r"\X", text)


# Nothing is lost, nothing is too long.


@given(st.lists(TEXTS, max_size=5), st.integers(1, 80))
@example(["A. " + "x" * 20, "B", "", "C"], 10)
def test_joined_the_batches_are_the_pages(texts: list[str], limit: int) -> None:
    pages = [Page(text, number) for number, text in enumerate(texts, 1)]
    found = list(batches(pages, limit))
    assert "".join(batch.text for batch in found) == "".join(texts)
    assert all(0 < len(batch.text) <= limit for batch in found)
    assert [batch.batch for batch in found] == list(range(len(found)))


@given(st.lists(TEXTS, max_size=5), st.integers(1, 80))
def test_each_batch_says_on_which_page_it_begins(texts: list[str], limit: int) -> None:
    numbers = [number for number, text in enumerate(texts, 1) for _ in text]
    found = list(batches([Page(text, number) for number, text in enumerate(texts, 1)], limit))
    begins = accumulate((len(batch.text) for batch in found), initial=0)
    assert [batch.page for batch in found] == [numbers[at] for at, _ in zip(begins, found, strict=False)]


@given(TEXTS, st.integers(20, 60))
@example("\u0915\u094d\u093c\u0937" * 20, 21)
@example(FLAGS * 9, 23)
def test_no_character_that_fits_is_cut(text: str, limit: int) -> None:
    """Characters by UAX #29, as the library `regex` has it."""
    inside = {
        at
        for began, ended in pairwise(accumulate(map(len, characters(text)), initial=0))
        if ended - began <= limit // 2
        for at in range(began + 1, ended)
    }
    cuts = set(accumulate(map(len, cut(text, limit))))
    longest = max(map(len, characters(text)), default=0)
    assert longest > limit // 2 or not cuts & inside


@given(st.lists(st.text(alphabet="ab", min_size=1, max_size=12), min_size=1, max_size=60))
def test_no_word_that_fits_is_cut(words: list[str]) -> None:
    assert [word for piece in cut(" ".join(words), 30) for word in piece.split()] == words


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_no_sentence_that_fits_is_cut(lengths: list[int]) -> None:
    text = "".join("A" + "b" * length + ". " for length in lengths)
    assert all(piece.endswith((". ", ".", " ")) for piece in cut(text, 50))


@given(st.text(alphabet="ab .\n", max_size=2_000))
def test_the_number_of_pieces_stays_in_bounds(text: str) -> None:
    pieces = cut(text, 40)
    assert all(len(one) + len(other) >= 20 for one, other in pairwise(pieces[:-1]))


@pytest.mark.parametrize(
    "unit",
    [
        "x",
        "\u6f22",
        "\u0e01",
        FAMILY,
        "e" + "\u0301" * 30,
        FLAGS,
        "\ud83d\ude00",
        "\r\n",
        ".",
        ". ",
        " \u0301",
        ".)",
    ],
)
def test_a_text_without_any_good_place_comes_to_an_end(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    found = list(batches(text))
    assert "".join(batch.text for batch in found) == text
    assert len(found) <= 2 * len(text) / LIMIT + 1


def test_one_character_longer_than_a_batch_is_cut_all_the_same() -> None:
    text = "e" + "\u0301" * 12_000
    assert [len(batch.text) for batch in batches(text)] == [LIMIT, LIMIT, 2_001]


# The best place.


@pytest.mark.parametrize(
    ("text", "limit", "first"),
    [
        ("One two. Three four five", 12, "One two. "),
        ("One two. three four five", 16, "One two. three "),  # a small letter goes on with the sentence
        ("Is it? Yes, it is here", 14, "Is it? "),
        ("\u201cGo!\u201d She went away", 12, "\u201cGo!\u201d "),
        ("Pi is 3.14159 and more", 10, "Pi is "),
        ("Ask example.com now, will you", 17, "Ask example.com "),
        ("Heading\n\nand a paragraph", 14, "Heading\n\n"),
        ("a,b,c\nd,e,f g,h,i", 10, "a,b,c\n"),
        ("One line\r\nAnother line", 9, "One line"),
        ("Wait...... what now then", 12, "Wait...... "),
        ("\u540d\u524d\u306f\u3002\u307e\u3060\u7121\u3044\u3068", 6, "\u540d\u524d\u306f\u3002"),
        ("\u540d\u524d\u306f\u3001\u307e\u3060\u7121\u3044\u3068", 6, "\u540d\u524d\u306f\u3001"),
        ("\u0646\u0639\u0645\u061f \u0644\u0627 \u0634\u0643\u0631\u0627", 9, "\u0646\u0639\u0645\u061f "),
        ("\u0928\u092e\u0964 \u0928\u092e \u0928\u092e", 6, "\u0928\u092e\u0964 "),
        ("\u1780\u1781\u200b\u1782\u1783\u1784", 4, "\u1780\u1781\u200b"),
        ("ab" + FAMILY + "cd", 4, "ab"),
        ("a" + FLAGS, 4, "a" + FLAGS[:2]),
    ],
)
def test_where_a_piece_ends(text: str, limit: int, first: str) -> None:
    assert text[: best_cut(text, limit)] == first


def test_a_text_that_fits_is_one_batch() -> None:
    text = "A sentence. " * (LIMIT // 12)
    assert [batch.text for batch in batches(text)] == [text]
    assert list(batches("")) == []


def test_a_batch_says_on_which_page_it_begins() -> None:
    pages = [Page("A first sentence. " * 200, 1), Page("", 2), Page("A later one. " * 800, 3)]
    found = [(batch.page, batch.text[:7]) for batch in batches(pages)]
    assert found == [(1, "A first"), (3, "A later"), (3, "A later")]


def test_pages_are_read_only_as_they_are_needed() -> None:
    taken = []

    def pages() -> object:
        for number in range(1, 1_000):
            taken.append(number)
            yield Page("word " * 600, number)

    next(batches(pages()))  # type: ignore[arg-type]  # an iterator is all that is asked for
    assert taken == [1, 2]


# By bytes.


@given(TEXTS, st.integers(4, 60))
def test_pieces_by_bytes_are_the_text_and_fit(text: str, limit: int) -> None:
    pieces = list(split_by_bytes(text, limit))
    assert "".join(pieces) == text
    assert all(0 < len(piece.encode(errors="surrogatepass")) <= limit for piece in pieces)


def test_five_thousand_characters_that_are_not_ascii_fit_comprehend() -> None:
    text = "\u540d\u524d\u306f\u307e\u3060\u7121\u3044\u3002" * 625
    pieces = list(split_by_bytes(text, 5_000))
    assert len(pieces) == 4
    assert all(piece.endswith("\u3002") for piece in pieces)


def test_a_limit_that_not_every_character_fits_is_refused() -> None:
    with pytest.raises(InvariantError, match="3 bytes"):
        list(split_by_bytes("x", 3))
