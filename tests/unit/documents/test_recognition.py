"""Reading scans a page at a time: bounded, patient where it is throttled, and tidy."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.lines import read_lines
from signalbox.documents.models import Batch, Document, Options, Outcome, Task, Text
from signalbox.documents.recognition import (
    LONGEST_WAIT_SECONDS,
    MAXIMUM_PAGES,
    PAGE_BYTES,
    Recognised,
    RecogniseText,
)
from signalbox.errors import (
    AccessDeniedError,
    NotFoundError,
    RefusedError,
    ThrottledError,
    TransientError,
    UnavailableError,
)
from signalbox.side_by_side import SideBySide
from tests.unit.documents.analysers import FakePages
from tests.unit.documents.doubles import NOON, FakeObjects, MovableClock

WORK = "work"
DOCUMENT = Document(bucket="in", key="a scan.pdf", generation=7, cause="created", occurred_at=0.0)
TASK = Task(document=DOCUMENT, options=Options(route="all", ocr=True))
PREFIX = f"pages/{DOCUMENT.id}/7/"
TEXT_KEY = f"text/{DOCUMENT.id}/7.jsonl.gz"


class Scan:
    """A scan that lies in the work bucket page by page, and a recogniser that can read it."""

    def __init__(self, *pages: list[str] | None) -> None:
        self.clock = MovableClock()
        self.objects = FakeObjects(self.clock)
        self.objects.create_bucket(WORK)
        self.pages = FakePages({page_key(number): page for number, page in enumerate(pages, 1)})
        for key in self.pages.pages:
            self.objects.put(WORK, key, b"%PDF-")
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += seconds

    def recognise(self, seconds: float = 75.0, chance: float = 1.0) -> Recognised:
        reader = RecogniseText(self.objects, WORK, self.pages, self.clock, self.sleep, lambda: chance)
        return reader.recognise(TASK, NOON + seconds)

    def text(self) -> list[Batch]:
        return list(read_lines(self.objects.get(WORK, TEXT_KEY).body, Batch))


def page_key(number: int) -> str:
    return f"{PREFIX}{number:05}.pdf"


def outcome(recognised: Recognised) -> tuple[Outcome, str]:
    assert recognised.text is None
    assert recognised.verdict is not None
    return recognised.verdict.outcome, recognised.verdict.reason


def test_the_text_of_a_scan_is_kept_and_its_pages_are_removed() -> None:
    scan = Scan(["To whom", "it concerns"], [], ["Yours"])
    recognised = scan.recognise()
    assert recognised == Recognised(
        text=Text(key=TEXT_KEY, batches=1, characters=26, pages=3, media_type="application/pdf")
    )
    assert [batch.text for batch in scan.text()] == ["To whom\nit concerns\nYours\n"]
    assert scan.objects.keys(WORK) == [TEXT_KEY]


def test_a_batch_knows_the_page_that_it_begins_on() -> None:
    scan = Scan(["a" * 3_000], [], ["b" * 3_000], ["c" * 3_000])
    scan.recognise()
    assert [(batch.page, batch.text[0]) for batch in scan.text()] == [(1, "a"), (3, "b"), (4, "c")]


@given(st.lists(st.lists(st.text("abc é字", min_size=1), max_size=3), min_size=1, max_size=12))
def test_pages_come_in_order_and_none_is_asked_about_twice(pages: list[list[str]]) -> None:
    scan = Scan(*pages)
    recognised = scan.recognise()
    assert scan.pages.asked == [page_key(number) for number in range(1, len(pages) + 1)]
    whole = "".join(f"{line}\n" for page in pages for line in page)
    if whole.strip():
        assert "".join(batch.text for batch in scan.text()) == whole
    else:
        assert outcome(recognised) == (Outcome.NO_TEXT, "no-text-found")


@pytest.mark.parametrize("pages", [[[]], [[], []], [[" "]]])
def test_a_blank_scan_has_no_text(pages: list[list[str]]) -> None:
    scan = Scan(*pages)
    assert outcome(scan.recognise()) == (Outcome.NO_TEXT, "no-text-found")
    assert scan.objects.keys(WORK) == []


def test_too_many_pages_are_not_read_but_removed() -> None:
    scan = Scan(*[["a"]] * (MAXIMUM_PAGES + 1))
    assert outcome(scan.recognise()) == (Outcome.TOO_LARGE, "too-many-scanned-pages")
    assert (scan.pages.asked, scan.objects.keys(WORK)) == ([], [])


def test_as_many_as_may_be_are_read() -> None:
    scan = Scan(*[["a"]] * MAXIMUM_PAGES)
    recognised = scan.recognise()
    assert recognised.text is not None
    assert recognised.text.pages == MAXIMUM_PAGES


def test_a_page_of_too_many_bytes_is_not_read() -> None:
    scan = Scan(["a"], ["b"])
    scan.objects.put(WORK, page_key(2), bytes(PAGE_BYTES + 1))
    recognised = scan.recognise()
    assert outcome(recognised) == (Outcome.TOO_LARGE, "scanned-page-too-large")
    assert recognised.verdict is not None
    assert "page 2 has 10,485,761" in recognised.verdict.detail
    assert scan.pages.asked == []


def test_a_page_that_cannot_be_read_makes_the_scan_corrupt() -> None:
    scan = Scan(["a"], None)
    assert outcome(scan.recognise()) == (Outcome.CORRUPT, "scan-not-readable")
    assert scan.objects.keys(WORK) == []


@pytest.mark.parametrize(
    ("error", "reason"), [(AccessDeniedError("no"), "access-denied"), (RefusedError("never"), "refused")]
)
def test_without_a_recogniser_there_is_nothing_to_index(error: Exception, reason: str) -> None:
    scan = Scan(["a"])
    scan.pages.errors[page_key(1)] = [error]
    assert outcome(scan.recognise()) == (Outcome.FAILED, reason)
    assert scan.objects.keys(WORK) == []


@pytest.mark.parametrize("error", [ThrottledError, UnavailableError])
def test_a_page_that_is_throttled_waits_and_is_read(error: type[TransientError]) -> None:
    scan = Scan(["a"], ["b"])
    scan.pages.errors[page_key(1)] = [error("slow down")] * 5
    assert scan.recognise().text is not None
    assert scan.slept == [0.5, 1.0, 2.0, 4.0, LONGEST_WAIT_SECONDS]
    assert scan.pages.asked == [page_key(1)] * 6 + [page_key(2)]


@pytest.mark.parametrize(("chance", "first"), [(0.0, 0.25), (0.5, 0.375), (1.0, 0.5)])
def test_pages_that_were_throttled_together_come_back_apart(chance: float, first: float) -> None:
    scan = Scan(["a"])
    scan.pages.errors[page_key(1)] = [ThrottledError("slow down")]
    scan.recognise(chance=chance)
    assert scan.slept == [first]


def test_when_time_is_up_the_pages_stay_for_the_next_try() -> None:
    scan = Scan(["a"])
    scan.pages.errors[page_key(1)] = [ThrottledError("slow down")] * 1_000
    with pytest.raises(ThrottledError):
        scan.recognise(seconds=10.0)
    assert sum(scan.slept) < 10.0
    assert scan.objects.keys(WORK) == [page_key(1)]
    scan.pages.errors.clear()
    assert scan.recognise().text is not None


def test_pages_of_others_are_left_alone() -> None:
    scan = Scan(["a"])
    others = [f"pages/{DOCUMENT.id}/8/00001.pdf", "pages/other/7/00001.pdf"]
    for key in others:
        scan.objects.put(WORK, key, b"%PDF-")
    scan.recognise()
    assert scan.objects.keys(WORK, "pages/") == sorted(others)


@pytest.mark.parametrize("error", [AccessDeniedError("no"), UnavailableError("away")])
def test_pages_that_cannot_be_removed_are_left_to_the_lifecycle_rule(error: Exception) -> None:
    scan = Scan(["a"])
    scan.objects.fail("delete", error)
    assert scan.recognise().text is not None
    assert scan.objects.keys(WORK, "pages/") == [page_key(1)]


def test_where_an_earlier_try_has_removed_the_pages_it_says_so() -> None:
    scan = Scan(["a"])
    scan.recognise()
    with pytest.raises(NotFoundError, match=r"a scan\.pdf: no pages"):
        scan.recognise()


def test_no_more_pages_at_once_than_may() -> None:
    scan, at_once, most, lock = Scan(*[["a"]] * 20), 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=10)

    class Counting:
        def lines(self, bucket: str, key: str) -> list[str]:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            if int(key[-9:-4]) <= 3:
                together.wait()
            with lock:
                at_once -= 1
            return ["a"]

    reader = RecogniseText(scan.objects, WORK, Counting(), scan.clock, scan.sleep, lambda: 1.0, SideBySide(3))
    assert reader.recognise(TASK, NOON + 75).text is not None
    assert most == 3


def test_a_listing_is_all_that_is_read_of_the_pages_here() -> None:
    """Textract reads them itself."""
    scan = Scan(["a"], ["b"])
    scan.objects.calls.clear()
    scan.recognise()
    assert [operation for operation, _, _ in scan.objects.calls] == ["list", "put", "delete"]
