"""Which pieces of a text are asked about, in how many calls, and what is kept of what comes back."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.entities import (
    MAXIMUM_ENTITIES,
    MAXIMUM_PIECES,
    MINIMUM_SCORE,
    PIECE_BYTES,
    PIECES_A_CALL,
    DetectEntities,
    Mention,
    most_certain,
    pieces_of,
    sample_of,
)
from signalbox.documents.lines import read_lines, write_lines
from signalbox.documents.models import Batch, Document, Entities, Entity, Options, Task, Text
from signalbox.errors import AccessDeniedError, InvariantError, RefusedError, ThrottledError, UnavailableError
from tests.unit.documents.analysers import FakeDetector
from tests.unit.documents.doubles import FakeObjects

WORK = "work"
DOCUMENT = Document(bucket="in", key="a letter.txt", generation=7, cause="created", occurred_at=0.0)
TEXT_KEY = f"text/{DOCUMENT.id}/7.jsonl.gz"
ENTITIES_KEY = f"entities/{DOCUMENT.id}/7.jsonl.gz"
ADA = "Ada Lovelace"


def batches(*texts: str) -> list[Batch]:
    return [Batch(batch=number, text=text) for number, text in enumerate(texts)]


def detected(detector: FakeDetector, *texts: str) -> tuple[Entities, FakeObjects]:
    """What comes of a document whose batches are these."""
    objects = FakeObjects()
    objects.create_bucket(WORK)
    objects.put(WORK, TEXT_KEY, write_lines(batches(*texts)))
    text = Text(key=TEXT_KEY, batches=len(texts), characters=sum(map(len, texts)), media_type="text/plain")
    task = Task(document=DOCUMENT, options=Options(route="all", entities=True), text=text)
    return DetectEntities(objects, WORK, detector).detect(task), objects


def kept(objects: FakeObjects) -> list[Entity]:
    return list(read_lines(objects.get(WORK, ENTITIES_KEY).body, Entity))


def test_entities_are_kept_beside_the_text() -> None:
    detector = FakeDetector()
    found, objects = detected(detector, f"by {ADA}", "by nobody", f"{ADA} and Alan Turing")
    assert found == Entities(key=ENTITIES_KEY, language="en", found=3, calls=2)
    assert [(each.batch, each.text, each.type, each.score) for each in kept(objects)] == [
        (0, ADA, "PERSON", 0.96),
        (2, ADA, "PERSON", 0.96),
        (2, "Alan Turing", "PERSON", 0.96),
    ]


def test_where_nothing_is_named_nothing_is_kept() -> None:
    found, objects = detected(FakeDetector(), "nobody here")
    assert found == Entities(language="en", calls=2)
    assert objects.keys(WORK, "entities/") == []


@pytest.mark.parametrize("texts", [(), ("",), (" \n\t", "\u3000" * 2_000)])
def test_a_text_without_a_word_costs_nothing(texts: tuple[str, ...]) -> None:
    detector = FakeDetector()
    assert detected(detector, *texts)[0] == Entities()
    assert detector.calls == 0


@pytest.mark.parametrize("count", [1, 24, 25, 26, 49, 50, 51, 75, 76, 250, 1_001])
def test_one_call_for_25_pieces_and_one_for_the_document(count: int) -> None:
    detector = FakeDetector()
    found, _ = detected(detector, *["a word"] * count)
    assert found.calls == detector.calls == ceil(count / 25) + 1
    assert len(detector.samples) == 1


@given(
    st.lists(st.text(min_size=1, max_size=20), max_size=60),
    st.integers(1, 900),
    st.sets(st.integers(0, 300)),
)
def test_the_bound_holds_whatever_fails(texts: list[str], times: int, failing: set[int]) -> None:
    """Also where pieces come back with errors, at the first try or at every one."""
    texts = [text * times for text in texts]
    pieces = [piece.text for piece in pieces_of(batches(*texts))]
    unlucky = {piece for number, piece in enumerate(pieces) if number in failing}
    detector = FakeDetector(failing=lambda text, _: text in unlucky)
    try:
        found, _ = detected(detector, *texts)
    except UnavailableError:
        assert unlucky.issuperset(pieces)
    else:
        assert found.calls == detector.calls
        assert bool(unlucky) == found.note.startswith("incomplete")
    assert detector.calls <= (ceil(len(pieces) / PIECES_A_CALL) + 1 if pieces else 0)
    assert all(len(call) <= PIECES_A_CALL for call in detector.asked)
    assert {text for call in detector.asked for text in call} == set(pieces)


@given(st.lists(st.text(max_size=30), max_size=10), st.integers(1, 700))
def test_every_piece_fits_and_none_that_says_something_is_lost(texts: list[str], times: int) -> None:
    given_batches = batches(*[text * times for text in texts])
    pieces = list(pieces_of(given_batches))
    assert all(0 < len(piece.text.encode()) <= PIECE_BYTES for piece in pieces)
    for batch in given_batches:
        whole = "".join(piece.text for piece in pieces if piece.batch == batch.batch)
        assert "".join(whole.split()) == "".join(batch.text.split())


@pytest.mark.parametrize("script", ["a", "ü", "字", "\U0001f389"])
def test_five_thousand_characters_of_any_script_are_re_split_by_bytes(script: str) -> None:
    size = len(script.encode())
    pieces = list(pieces_of(batches(script * 5_000)))
    assert "".join(piece.text for piece in pieces) == script * 5_000
    assert len(pieces) == ceil(5_000 / (5_000 // size))


def test_what_failed_is_asked_about_again_where_the_last_call_has_room() -> None:
    detector = FakeDetector(failing=lambda text, times: text.startswith("7 ") and times == 0)
    found, objects = detected(detector, *[f"{number} {ADA}" for number in range(30)])
    assert [len(call) for call in detector.asked] == [25, 6]
    assert detector.asked[1][-1] == f"7 {ADA}"
    assert (found.found, found.calls, found.note) == (30, 3, "")
    assert {each.batch for each in kept(objects)} == set(range(30))


def test_what_fails_without_room_is_counted_and_noted() -> None:
    detector = FakeDetector(failing=lambda text, _: text.startswith(("7 ", "8 ")))
    found, _ = detected(detector, *[f"{number} {ADA}" for number in range(25)])
    assert (found.found, found.calls) == (23, 2)
    assert found.note == "incomplete: 2 parts of the text came back with an error"


def test_where_everything_fails_it_is_worth_another_try() -> None:
    with pytest.raises(UnavailableError, match="every one of 3"):
        detected(FakeDetector(failing=lambda *_: True), "a", "b", "c")


def test_a_text_without_end_is_analysed_as_far_as_the_step_has_time() -> None:
    detector = FakeDetector()
    found, _ = detected(detector, *["a"] * (MAXIMUM_PIECES + 5))
    assert detector.calls == MAXIMUM_PIECES // 25 + 1
    assert found.note == "incomplete: only the first 12 MB of the text were analysed"


@pytest.mark.parametrize(("spoken", "noted"), [("fi", "fi"), ("", "und")])
def test_a_language_that_is_not_taken_costs_one_call(spoken: str, noted: str) -> None:
    detector = FakeDetector(spoken=spoken)
    found, _ = detected(detector, "tämä on suomea")
    assert found == Entities(language=noted, calls=1, note=f"language-not-supported:{noted}")


def test_a_detector_says_itself_which_languages_it_takes() -> None:
    detector = FakeDetector(spoken="fi", languages=frozenset({"fi"}))
    assert detected(detector, f"tässä on {ADA}")[0].found == 1


def test_the_language_is_told_by_a_little_from_all_over_the_text() -> None:
    pieces = list(pieces_of(batches(*[f"{number:03} " + "ü" * 4_000 for number in range(100)])))
    sample = sample_of(pieces)
    assert [line[:3] for line in sample.splitlines()] == ["000", "020", "040", "060", "080"]
    assert 900 <= len(sample.encode()) <= 1_004


@given(st.lists(st.text(min_size=1, max_size=2_000), min_size=1, max_size=30))
def test_a_sample_is_never_blank_nor_too_long(texts: list[str]) -> None:
    if pieces := list(pieces_of(batches(*texts))):
        assert sample_of(pieces).strip()
        assert len(sample_of(pieces).encode()) <= 1_004


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (AccessDeniedError("BatchDetectEntities: AccessDeniedException: no"), "access-denied: BatchDetect"),
        (RefusedError("BatchDetectEntities: InvalidRequestException: no"), "refused: BatchDetectEntities"),
        (RefusedError("x" * 10_000), "refused: xxx"),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_who_is_refused_for_good_says_why(error: Exception, note: str, before: int) -> None:
    detector = FakeDetector(errors=[*[None] * before, error])
    found, objects = detected(detector, f"by {ADA}")
    assert found.note.startswith(note)
    assert len(found.note) <= 500
    assert (found.key, found.found, found.calls) == ("", 0, before + 1)
    assert objects.keys(WORK, "entities/") == []


@pytest.mark.parametrize("error", [ThrottledError("slow down"), UnavailableError("away")])
def test_what_passes_is_tried_again_by_the_workflow(error: Exception) -> None:
    with pytest.raises(type(error)):
        detected(FakeDetector(errors=[None, error]), "a word")


def test_an_entity_is_kept_once_a_batch_by_its_highest_score() -> None:
    found = [
        (1, Mention("Ada\n  Lovelace", "PERSON", 0.7)),
        (1, Mention(ADA, "PERSON", 0.9)),
        (1, Mention(ADA, "TITLE", 0.8)),
        (0, Mention(ADA, "PERSON", 0.6)),
        (0, Mention("Nobody", "PERSON", MINIMUM_SCORE - 0.01)),
        (0, Mention(" ", "OTHER", 1.0)),
    ]
    assert most_certain(found) == [
        Entity(batch=0, text=ADA, type="PERSON", score=0.6),
        Entity(batch=1, text=ADA, type="PERSON", score=0.9),
        Entity(batch=1, text=ADA, type="TITLE", score=0.8),
    ]


def test_of_too_many_the_most_certain_are_kept() -> None:
    found = [
        (0, Mention(f"n{number}", "OTHER", 0.5 + number / 1e6)) for number in range(MAXIMUM_ENTITIES + 3)
    ]
    names = {each.text for each in most_certain(found)}
    assert len(names) == MAXIMUM_ENTITIES
    assert names.isdisjoint({"n0", "n1", "n2"})


def test_a_task_without_a_text_is_a_bug() -> None:
    objects = FakeObjects()
    task = Task(document=DOCUMENT, options=Options(route="all"))
    with pytest.raises(InvariantError, match="looked for in a text"):
        DetectEntities(objects, WORK, FakeDetector()).detect(task)
