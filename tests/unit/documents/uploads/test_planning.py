"""Keys, content types and parts of new uploads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.uploads.models import Beginning, Upload, UploadError
from signalbox.documents.uploads.planning import (
    MAXIMUM_KEY_BYTES,
    MAXIMUM_NAME_BYTES,
    MAXIMUM_PART_BYTES,
    MAXIMUM_PARTS,
    MIB,
    MINIMUM_PART_BYTES,
    check_beginning,
    content_type,
    object_key,
    part_size,
    safe_name,
)

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
FIVE_TIB = 5 * 2**40


def upload(size: int, size_of_parts: int) -> Upload:
    return Upload(
        id="u",
        owner="o",
        key="k",
        multipart_id="m",
        size=size,
        part_size=size_of_parts,
        content_type="text/plain",
        began_at=NOON,
    )


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        (0, 0, 8 * MIB),
        (1, 0, 8 * MIB),
        (80_000 * MIB, 0, 8 * MIB),
        (80_000 * MIB + 1, 0, 9 * MIB),
        (FIVE_TIB, 0, 525 * MIB),
        (10 * MIB, 5 * MIB, 5 * MIB),
        (10 * MIB, MAXIMUM_PART_BYTES, MAXIMUM_PART_BYTES),
        (MAXIMUM_PARTS * 5 * MIB, 5 * MIB, 5 * MIB),
    ],
)
def test_the_size_of_parts(size: int, asked: int, expected: int) -> None:
    assert part_size(size, asked) == expected


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        (10 * MIB, MINIMUM_PART_BYTES - 1),
        (10 * MIB, MAXIMUM_PART_BYTES + 1),
        (10 * MIB, -1),
        (MAXIMUM_PARTS * 5 * MIB + 1, 5 * MIB),
    ],
)
def test_parts_that_s3_does_not_take(size: int, asked: int) -> None:
    with pytest.raises(UploadError) as refused:
        part_size(size, asked)
    assert (refused.value.status, refused.value.code, refused.value.where) == (
        400,
        "bad-part-size",
        "$.part_size",
    )


@given(st.integers(0, FIVE_TIB))
def test_the_parts_of_every_size_are_the_object_and_within_s3s_limits(size: int) -> None:
    planned = upload(size, part_size(size))
    assert 1 <= planned.part_count <= MAXIMUM_PARTS
    assert MINIMUM_PART_BYTES <= planned.part_size <= MAXIMUM_PART_BYTES
    last = planned.part_bytes(planned.part_count)
    assert (planned.part_count - 1) * planned.part_size + last == size
    assert 0 <= last <= planned.part_size
    assert last > 0 or size == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("Q1 report (final)+v2.pdf", "Q1 report (final)+v2.pdf"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\jane\report.docx", "report.docx"),
        ("..", "file"),
        (".", "file"),
        ("   ", "file"),
        ("folder/", "file"),
        (".env", ".env"),
        ("größe.txt", "größe.txt"),
        ("gro\u0308ße.txt", "größe.txt"),  # composed
        ("数据.csv", "数据.csv"),
        ("📄.pdf", "_.pdf"),
        ("a\nb\tc\x00.txt", "a_b_c_.txt"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),  # would be read as invoiceexe.pdf
        ("a?b#c%d&e=f.txt", "a_b_c_d_e=f.txt"),
        ("<script>.html", "_script_.html"),
        ("lone\ud800surrogate", "lone_surrogate"),
    ],
)
def test_what_a_name_becomes(name: str, expected: str) -> None:
    assert safe_name(name) == expected


def test_a_long_name_keeps_its_extension_and_is_cut_between_characters() -> None:
    cut = safe_name("ü" * 400 + ".pdf")
    assert cut == "ü" * 125 + ".pdf"
    assert safe_name("a." + "x" * 400) == "a." + "x" * 253  # that is no extension


@given(st.text(max_size=600), st.integers(20, MAXIMUM_NAME_BYTES))
def test_any_name_becomes_one_harmless_step_of_a_path(name: str, most: int) -> None:
    safe = safe_name(name, most)
    assert 0 < len(safe.encode()) <= most
    assert safe.strip(".")
    assert safe == safe_name(safe, most)
    assert not set(safe) & set('/\\\n\r\0<>"#%{}|^~[]`')


def test_the_key_is_the_servers() -> None:
    assert object_key("uploads/", NOON, "id-1", "../a b.pdf") == "uploads/2026/01/01/id-1/a b.pdf"


@given(st.text(max_size=2_000), st.integers(0, 800))
def test_a_key_fits(name: str, length: int) -> None:
    prefix = "p" * length + "/"
    key = object_key(prefix, NOON, "x" * 43, name)
    assert len(key.encode()) <= MAXIMUM_KEY_BYTES
    assert key.count("/") == 5


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("a.pdf", "", "application/pdf"),
        ("A.PDF", "", "application/pdf"),
        ("a.b.docx", "", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("a.md", "", "text/markdown"),
        ("a.tar.gz", "", "application/octet-stream"),
        ("noextension", "", "application/octet-stream"),
        ("a.pdf", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
    ],
)
def test_the_content_type(name: str, given: str, expected: str) -> None:
    assert content_type(Beginning(name=name, size=1, content_type=given)) == expected


@pytest.mark.parametrize(
    ("asked", "status", "code", "where"),
    [
        (Beginning(name="", size=1), 400, "bad-name", "$.name"),
        (Beginning(name="x" * 4_097, size=1), 400, "bad-name", "$.name"),
        (Beginning(name="x", size=-1), 400, "bad-size", "$.size"),
        (Beginning(name="x", size=1_001), 413, "too-large", "$.size"),
        (Beginning(name="x", size=1, content_type="pdf"), 400, "bad-content-type", "$.content_type"),
        (Beginning(name="x", size=1, content_type="a/b\r\nx: y"), 400, "bad-content-type", "$.content_type"),
        (Beginning(name="x", size=1, content_type="a/b\n"), 400, "bad-content-type", "$.content_type"),
    ],
)
def test_bad_input(asked: Beginning, status: int, code: str, where: str) -> None:
    with pytest.raises(UploadError) as refused:
        check_beginning(asked, 1_000)
    assert (refused.value.status, refused.value.code, refused.value.where) == (status, code, where)


def test_the_largest_that_is_taken() -> None:
    check_beginning(Beginning(name="x", size=1_000, content_type='text/csv; charset="utf-8"'), 1_000)
