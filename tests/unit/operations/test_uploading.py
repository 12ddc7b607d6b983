"""Uploading a file in parts: several at a time, tried again, signed again, gone on with."""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from operations.uploading import (
    CHUNK_BYTES,
    LONGEST_PAUSE_SECONDS,
    TRIES,
    ChangedError,
    EndedError,
    ExpiredError,
    LocalFile,
    Signed,
    StoppedError,
)
from signalbox.errors import RefusedError, RejectedError, UnavailableError
from tests.unit.operations.uploads import Desk

MIB = 2**20


@pytest.fixture(scope="module")
def content() -> bytes:
    """Four parts of 5 MiB and one of a byte, each another."""
    return b"".join(bytes([n]) * (5 * MIB) for n in range(4)) + b"!"


@pytest.fixture
def desk(tmp_path: Path, content: bytes) -> Desk:
    path = tmp_path / "video.mp4"
    path.write_bytes(content)
    return Desk(path)


def test_the_object_is_the_file_and_all_its_bytes_were_told(desk: Desk, content: bytes) -> None:
    done = desk.upload(*desk.begin())
    assert done.state == "completed"
    assert desk.object(done) == content
    assert sorted(desk.sender.sent) == [1, 2, 3, 4, 5]
    assert sum(desk.reported) == len(content)
    assert desk.pauses == []


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (1, 1), (5 * MIB, 1), (5 * MIB + 1, 2)])
def test_files_of_every_size(tmp_path: Path, size: int, parts: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    desk = Desk(path, jobs=4)
    done = desk.upload(*desk.begin())
    assert desk.object(done) == b"x" * size
    assert len(desk.sender.sent) == parts


def test_parts_are_signed_in_pages_shortly_before_they_are_sent(desk: Desk) -> None:
    desk.upload(*desk.begin())
    assert desk.api.calls.count("GET /uploads/{id}/parts") == 2  # four, then one: twice as many as jobs


def test_a_part_is_read_a_chunk_at_a_time(desk: Desk) -> None:
    desk.upload(*desk.begin())
    assert desk.sender.largest_chunk <= CHUNK_BYTES


def test_as_many_parts_as_asked_for_are_on_their_way_at_once(desk: Desk, content: bytes) -> None:
    desk.jobs = 4
    together = threading.Barrier(4)
    real = desk.sender.send

    def send(part: Signed, body: Iterable[bytes]) -> None:
        if part.number <= 4:
            together.wait(timeout=30)  # broken, unless four come
        real(part, body)

    desk.sender.send = send  # type: ignore[method-assign] # meets the others first
    assert desk.object(desk.upload(*desk.begin())) == content


def test_a_part_that_fails_is_tried_again_with_growing_pauses(desk: Desk, content: bytes) -> None:
    left = {2: 3}

    def fail(part: Signed) -> None:
        if left.get(part.number):
            left[part.number] -= 1
            raise UnavailableError("S3 answered 503 SlowDown")

    desk.sender.before = fail
    done = desk.upload(*desk.begin())
    assert desk.object(done) == content
    assert desk.pauses == [1.0, 2.0, 4.0]
    assert sum(desk.reported) == len(content)  # what was in vain was taken back


def test_a_part_that_never_works_ends_the_upload(desk: Desk) -> None:
    def fail(part: Signed) -> None:
        if part.number == 2:
            raise UnavailableError("S3 answered 503 SlowDown")

    desk.sender.before = fail
    with pytest.raises(UnavailableError):
        desk.upload(*desk.begin())
    assert len(desk.pauses) == TRIES - 1
    assert max(desk.pauses) <= LONGEST_PAUSE_SECONDS
    assert desk.scene.s3.objects == {}


def test_what_no_repetition_mends_is_not_repeated(desk: Desk) -> None:
    def fail(_: Signed) -> None:
        raise RefusedError("S3 answered 400 EntityTooLarge")

    desk.sender.before = fail
    with pytest.raises(RefusedError):
        desk.upload(*desk.begin())
    assert desk.pauses == []


def test_a_url_that_is_refused_for_ever_ends_the_upload(desk: Desk) -> None:
    file, begun = desk.begin()
    desk.scene.s3.url_seconds = 0
    with pytest.raises(ExpiredError):
        desk.upload(file, begun)
    assert len(desk.api.calls) <= 2 + desk.jobs * (TRIES - 1)


def test_an_interrupted_upload_sends_only_what_is_missing(desk: Desk, content: bytes) -> None:
    file, begun = desk.begin()

    def interrupt(part: Signed) -> None:
        if part.number == 4:
            desk.stop.set()

    desk.sender.before = interrupt
    with pytest.raises(StoppedError):
        desk.upload(file, begun)
    first = list(desk.sender.sent)
    assert first
    desk.stop.clear()
    desk.sender.before = lambda _: None
    desk.reported.clear()
    known, there = desk.api.look(begun.id)
    assert sorted(there) == sorted(first)
    done = desk.upload(file, known, there)
    assert desk.object(done) == content
    assert sorted(desk.sender.sent) == [1, 2, 3, 4, 5]  # none of them twice
    assert sum(desk.reported) == len(content)


def test_a_part_of_other_content_is_sent_again(desk: Desk, content: bytes) -> None:
    """The file was changed between the interruption and going on."""
    file, begun = desk.begin()
    there = {1: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 2: ""}
    done = desk.upload(file, begun, there)
    assert desk.object(done) == content
    assert sorted(desk.sender.sent) == [1, 2, 3, 4, 5]


def test_an_upload_whose_completion_was_answered_to_nobody_is_done(desk: Desk) -> None:
    file, begun = desk.begin()
    desk.upload(file, begun)
    sent = list(desk.sender.sent)
    known, there = desk.api.look(begun.id)
    assert (known.state, there) == ("completed", {})
    assert desk.upload(file, known, there).state == "completed"
    assert desk.sender.sent == sent


def test_but_not_if_it_was_made_of_another_file(desk: Desk, content: bytes) -> None:
    file, begun = desk.begin()
    desk.upload(file, begun)
    known, there = desk.api.look(begun.id)
    desk.path.write_bytes(content[:-1] + b"?")
    changed = LocalFile.look(desk.path)
    changed.part_size = known.part_size
    with pytest.raises(RejectedError, match="other parts"):
        desk.upload(changed, known, there)


def test_parts_that_the_api_finds_missing_are_sent_again(desk: Desk, content: bytes) -> None:
    file, begun = desk.begin()
    lost: list[int] = []

    def lose(part: Signed) -> None:
        if part.number == 3 and not lost:
            lost.append(part.number)

    desk.sender.before = lose
    real = desk.api.complete

    def complete(upload_id: str, checksums: list[str]) -> object:
        if lost == [3]:
            lost.append(0)
            [parts] = desk.scene.s3.open.values()
            del parts[3]
        return real(upload_id, checksums)

    desk.api.complete = complete  # type: ignore[method-assign, assignment] # S3 forgets a part once
    assert desk.object(desk.upload(file, begun)) == content
    assert desk.sender.sent.count(3) == 2


def test_an_upload_that_was_aborted_meanwhile(desk: Desk) -> None:
    file, begun = desk.begin()
    desk.scene.call("DELETE /uploads/{id}", begun.id)
    with pytest.raises(EndedError):
        desk.upload(file, begun)


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
def test_a_file_that_changes_meanwhile_is_no_success(desk: Desk, content: bytes, change: str) -> None:
    file, begun = desk.begin()
    changed = {"longer": content + b"!", "shorter": content[: 6 * MIB], "other": content[:-1] + b"?"}[change]

    def write(part: Signed) -> None:
        if part.number == 1:
            desk.path.write_bytes(changed)
            os.utime(desk.path, ns=(1, 1))

    desk.sender.before = write
    with pytest.raises(ChangedError):
        desk.upload(file, begun)
    assert desk.scene.s3.objects == {}
