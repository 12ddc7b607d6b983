"""What has gone wrong in the field with uploads of this kind, by public reference."""

from pathlib import Path

from operations.uploading import Signed
from tests.unit.operations.uploads import Desk

MIB = 2**20


def test_7_signed_parts_expire_in_mid_upload(tmp_path: Path) -> None:
    """transloadit/uppy#1724: a phone that slept, or a line slower than the URLs last, and every retry failed.

    Here the URLs run out between two parts of one page: the page is asked for again, and the upload goes on.
    """
    path = tmp_path / "video.mp4"
    path.write_bytes(b"x" * (12 * MIB))
    desk = Desk(path, jobs=2)
    desk.scene.s3.url_seconds = 900
    slept: list[int] = []

    def sleep_once(part: Signed) -> None:
        if part.number == 2 and not slept:
            slept.append(part.number)
            desk.scene.clock.at += 901

    desk.sender.before = sleep_once
    done = desk.upload(*desk.begin())
    assert desk.object(done) == path.read_bytes()
    assert slept == [2]
    assert sorted(desk.sender.sent) == [1, 2, 3]
    assert desk.pauses == []  # there is nothing to wait for
