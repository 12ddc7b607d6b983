"""Textract's DetectDocumentText, by a rule: what is written on a page stands in the comments of its JPEGs.

moto answers nothing, whatever it is given. Nothing here can read a picture; but a scan that somebody makes
(`scanned_pdf`) may say in words what it shows, and a page whose pictures have no comment is a blank one.
"""

from __future__ import annotations

import json
import re
import uuid
from io import BytesIO
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.textract.responses import TextractResponse
from PIL import Image

from local.estate.stored import given_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from local.estate.replacing import Replacements
    from local.estate.stored import Storage

LARGEST_BYTES = 10 * 2**20
FORMATS = (b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
PAGE = re.compile(rb"/Type\s*/Page\b")
JPEG = b"\xff\xd8\xff"
COMMENT, SCAN = 0xFE, 0xDA
IDS = uuid.UUID(int=0)


def scan_semantics(replacements: Replacements, storage: Storage) -> None:
    """A page must be there, in a format that Textract takes; then its lines are found by the rule above."""

    def detect_document_text(self: TextractResponse) -> str:
        given = given_to(self, storage, json.loads(self.body))
        check_document(given.size, given.body)
        return json.dumps(answer_of(list(lines_of(given.body))))

    replacements.methods(TextractResponse, detect_document_text)


def check_document(size: int, body: bytes) -> None:
    """Raises what AWS says to a document that it doesn't take."""
    if size > LARGEST_BYTES:
        raise JsonRESTError(
            "DocumentTooLargeException", f"Document size {size} exceeds {LARGEST_BYTES} bytes"
        )
    if not body.startswith(FORMATS) or len(PAGE.findall(body)) > 1:
        # Words: aws-samples/amazon-textract-comprehend-OCRimage-search-and-analyze#4, also for two pages.
        raise JsonRESTError("UnsupportedDocumentException", "Request has unsupported document format")
    if body.startswith(b"%PDF-") and b"startxref" not in body[-2_048:]:
        raise JsonRESTError("BadDocumentException", "Request has bad document")


def lines_of(body: bytes) -> Iterator[str]:
    """What the JPEGs of a document say of themselves, line by line."""
    begin = body.find(JPEG)
    while begin >= 0:
        for comment in _comments(body, begin + 2):
            yield from filter(None, comment.decode(errors="replace").splitlines())
        begin = body.find(JPEG, begin + 2)


def _comments(body: bytes, at: int) -> Iterator[bytes]:
    """Those of one JPEG, whose segments begin there (ITU-T T.81, annex B)."""
    while len(head := body[at : at + 4]) == 4 and head[0] == 0xFF and head[1] != SCAN:
        length = int.from_bytes(head[2:])
        if head[1] == COMMENT:
            yield body[at + 4 : at + 2 + length]
        at += 2 + length


def answer_of(lines: Sequence[str]) -> dict[str, Any]:
    """A page of lines of words, evenly spread from top to bottom."""
    blocks = []
    for number, line in enumerate(lines):
        box = {"Left": 0.1, "Top": number / len(lines), "Width": 0.8, "Height": 0.9 / len(lines)}
        words = [
            _block("WORD", f"{number}.{place}", box, Confidence=99.0, Text=word, TextType="PRINTED")
            for place, word in enumerate(line.split())
        ]
        blocks += [_block("LINE", str(number), box, words, Confidence=99.0, Text=line), *words]
    below = [block for block in blocks if block["BlockType"] == "LINE"]
    page = _block("PAGE", "page", {"Left": 0.0, "Top": 0.0, "Width": 1.0, "Height": 1.0}, below)
    return {
        "DocumentMetadata": {"Pages": 1},
        "Blocks": [page, *blocks],
        "DetectDocumentTextModelVersion": "1.0",
    }


def _block(
    kind: str, name: str, box: dict[str, float], below: Iterable[dict[str, Any]] = (), **more: Any
) -> dict[str, Any]:
    left, top, right, bottom = box["Left"], box["Top"], box["Left"] + box["Width"], box["Top"] + box["Height"]
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    ids = [block["Id"] for block in below]
    children = {"Relationships": [{"Type": "CHILD", "Ids": ids}]} if ids else {}
    geometry = {"BoundingBox": box, "Polygon": [{"X": x, "Y": y} for x, y in corners]}
    return {"BlockType": kind, "Id": str(uuid.uuid5(IDS, name)), "Geometry": geometry, **children, **more}


def scanned_pdf(*pages: Sequence[str]) -> bytes:
    """A PDF without a letter of text: each page a grey picture, which says in its comment what it shows."""
    pictures = [Image.new("L", (200, 280), 200) for _ in pages]
    for picture, lines in zip(pictures, pages, strict=True):
        picture.info["comment"] = "\n".join(lines).encode()
    written = BytesIO()
    pictures[0].save(written, "PDF", save_all=True, append_images=pictures[1:])
    return written.getvalue()
