"""What an object is, by its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.samples import SAMPLES, images, make
from signalbox.documents.media import FIRST_BYTES, media_type, pixel_size

MAIL = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\n\r\nHello"
RIFF = b"RIFF\x10\0\0\0"


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (b"", "application/x-empty"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xef\xbb\xbf\r\n junk first\n%PDF-1.4\n", "application/pdf"),
        (b"PK\x03\x04....", "application/zip"),
        (b"PK\x05\x06" + bytes(18), "application/zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (RIFF + b"WEBPVP8 ", "image/webp"),
        (RIFF + b"AVI LIST", "video/x-msvideo"),
        (RIFF + b"WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"\x1aE\xdf\xa3\x01", "video/x-matroska"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\x1f\x8b\x08", "application/gzip"),
        (b"\x7fELF\x02", "application/x-elf"),
        (b"\0\x01\x02\x03", "application/octet-stream"),
        (bytes(range(256)), "application/octet-stream"),
        (b"Plain words.", "text/plain"),
        (b"caf\xe9", "text/plain"),
        ("\ufeffPlain".encode("utf-16-le"), "text/plain"),
        ("Plain words, no mark".encode("utf-16-be"), "text/plain"),
        ("\ufeffPlain".encode("utf-32-le"), "text/plain"),
        ("\ufeff<!DOCTYPE html><html>".encode("utf-16-le"), "text/html"),
        ("\u65e5\u672c\u8a9e \u65e5\u672c\n".encode("utf-16-le"), "text/plain"),
        (b"a zero\0 that strayed" + b" into it" * 20, "text/plain"),
        (b"\x1b$B$3$s", "text/plain"),  # ISO 2022
        (b"<!doctype HTML><title>x", "text/html"),
        (b"\n <!-- saved -->\n<html lang=en>", "text/html"),
        (b'<?xml version="1.0"?><html xmlns="x">', "text/html"),
        (b'<?xml version="1.0"?><feed>', "application/xml"),
        (b"<p>One paragraph", "text/html"),
        (b"<project> is a placeholder", "text/plain"),
        (b"a < b and <b> too", "text/plain"),
        (MAIL, "message/rfc822"),
        (b"Received: from a\n by b\nDate: now\nX-Odd: 1\nTo: c\nSubject: d", "message/rfc822"),
        (b"From ada Sat Mar 14 10:00:00 2026\nFrom: ada\n", "message/rfc822"),
        (b"Date: tomorrow\nTo: decide what to do, and then\nsome prose.", "text/plain"),
        (b'{"a": 1}', "application/json"),
        (b"{}", "application/json"),
        (b"[1, 2]", "application/json"),
        (b"[link](to) somewhere", "text/plain"),
        (b"{% template %}", "text/plain"),
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonl"),
    ],
)
def test_content_tells(first: bytes, found: str) -> None:
    assert media_type(first) == found


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("a.b.md", "text/markdown"),
        ("README.MD", "text/markdown"),
        ("folder.csv/notes", "text/plain"),
        ("notes", "text/plain"),
        (".md", "text/plain"),
        ("data.tsv", "text/csv"),
        ("x.html", "text/html"),
        ("x.pdf", "text/plain"),
        ("x.exe", "text/plain"),
        ("a b+c/\U0001f600.csv", "text/csv"),
        ("", "text/plain"),
    ],
)
def test_where_content_does_not_tell_the_name_does(key: str, found: str) -> None:
    assert media_type(b"Words, and more words.", key) == found


@pytest.mark.parametrize("key", ["photo.pdf", "a.b.pdf", "SCAN.PDF", "photo", "photo.txt"])
def test_a_name_never_overrules_content(key: str) -> None:
    assert media_type(make("png-as-pdf"), key) == "image/png"
    assert media_type(make("pdf"), key) == "application/pdf"


@given(st.binary(max_size=64), st.text(max_size=10))
def test_it_answers_for_whatever_there_is(first: bytes, key: str) -> None:
    assert "/" in media_type(first, key)


@pytest.mark.parametrize(
    "kind", [kind for kind in SAMPLES if kind.startswith(("text", "mail", "csv", "html"))]
)
def test_the_first_bytes_suffice(kind: str) -> None:
    sample = make(kind)
    assert media_type(sample[:FIRST_BYTES], SAMPLES[kind].key) == media_type(sample, SAMPLES[kind].key)


# Pixels.


def test_the_size_of_a_picture() -> None:
    assert pixel_size(images.png()) == (320, 200)
    assert pixel_size(images.jpeg()) == (320, 200)


def test_a_jpegs_metadata_and_fill_bytes_are_passed_over() -> None:
    picture = images.jpeg()
    exif = b"\xff\xe1" + (1_002).to_bytes(2) + bytes(1_000)
    assert pixel_size(picture[:2] + exif + b"\xff" + picture[2:]) == (320, 200)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        images.jpeg()[:20],
        b"GIF89a\x01\x00",
        b"\xff\xd8\xff\xe1\xff\xff" + bytes(90),
    ],
)
def test_bytes_that_do_not_tell_the_size(first: bytes) -> None:
    assert pixel_size(first) is None


@given(st.binary(max_size=64))
def test_a_broken_jpeg_comes_to_an_end(rest: bytes) -> None:
    pixel_size(b"\xff\xd8\xff" + rest)
