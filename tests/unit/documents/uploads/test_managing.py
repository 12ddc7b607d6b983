"""Completion and abortion: once, whatever is repeated, lost, raced or left behind."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.documents.uploads.models import Upload
from signalbox.documents.uploads.planning import MIB
from signalbox.errors import UnavailableError
from tests.unit.documents.uploads.multipart import digest_of
from tests.unit.documents.uploads.scene import BODIES, Scene

CHECKSUMS = [digest_of(body) for body in BODIES]


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.begin()
    return scene


def lose_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch, method: str) -> Callable[[], None]:
    """The next such call has its effect, and its answer gets lost. Answers what ends that."""
    real = getattr(scene.s3, method)

    def lost(*arguments: Any) -> None:
        real(*arguments)
        raise UnavailableError("the answer was lost")

    monkeypatch.setattr(scene.s3, method, lost)
    return lambda: monkeypatch.setattr(scene.s3, method, real)


def test_completing_twice_answers_the_same(scene: Scene) -> None:
    scene.send("id-1", *BODIES)
    first = scene.complete("id-1", CHECKSUMS)
    assert first[0] == 200
    assert scene.complete("id-1", CHECKSUMS) == first
    assert scene.complete("id-1") == first


def test_completing_after_a_lost_answer_answers_as_if_it_had_come(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.send("id-1", *BODIES)
    mend = lose_answer(scene, monkeypatch, "complete")
    assert scene.complete("id-1", CHECKSUMS)[0] == 503
    mend()
    status, answer = scene.complete("id-1", CHECKSUMS)
    assert (status, answer["state"]) == (200, "completed")
    assert answer["checksum"] == scene.s3.objects[answer["key"]][1].checksum


def test_an_object_that_another_put_there_is_not_taken_for_the_uploads(scene: Scene) -> None:
    scene.send("id-1", *BODIES)
    key = scene.complete("id-1", CHECKSUMS)[1]["key"]
    other = Scene()
    other.begin()
    _, stored, body = scene.s3.objects[key]
    other.s3.objects[key] = ("somebody-else", stored, body)
    other.s3.expire()
    assert other.complete("id-1")[0] == 410


def test_parts_that_are_missing_are_named(scene: Scene) -> None:
    scene.send("id-1", BODIES[0])
    status, problem = scene.complete("id-1", CHECKSUMS)
    assert (status, problem["code"], problem["missing"]) == (409, "parts-missing", [2])
    assert scene.call("GET /uploads/{id}", "id-1")[1]["state"] == "open"


def test_parts_that_differ_are_named_and_can_be_sent_again(scene: Scene) -> None:
    scene.send("id-1", BODIES[0], b"x" * (4 * MIB))
    status, problem = scene.complete("id-1", CHECKSUMS)
    assert (status, problem["code"], problem["different"]) == (409, "parts-differ", [2])
    scene.send("id-1", *BODIES)
    assert scene.complete("id-1", CHECKSUMS)[0] == 200


def test_an_object_made_of_other_parts_is_no_success(scene: Scene) -> None:
    scene.send("id-1", BODIES[0], b"x" * (4 * MIB))
    assert scene.complete("id-1")[0] == 200  # asked for without checksums
    status, problem = scene.complete("id-1", CHECKSUMS)
    assert (status, problem["code"]) == (409, "completed-differently")


def test_aborting_twice_answers_the_same_and_throws_away_what_came_since(scene: Scene) -> None:
    scene.send("id-1", BODIES[0])
    first = scene.call("DELETE /uploads/{id}", "id-1")
    assert (first[0], first[1]["state"], scene.s3.open) == (200, "aborted", {})
    scene.s3.open["multipart-1"] = {}  # a part that was on its way
    assert scene.call("DELETE /uploads/{id}", "id-1") == first
    assert scene.s3.open == {}
    assert scene.complete("id-1")[0] == 410


def test_a_completed_upload_is_not_aborted(scene: Scene) -> None:
    scene.send("id-1", *BODIES)
    scene.complete("id-1", CHECKSUMS)
    status, problem = scene.call("DELETE /uploads/{id}", "id-1")
    assert (status, problem["code"]) == (409, "completed")
    assert scene.complete("id-1", CHECKSUMS)[0] == 200


def test_nor_is_one_whose_completion_was_answered_to_nobody(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.send("id-1", *BODIES)
    mend = lose_answer(scene, monkeypatch, "complete")
    scene.complete("id-1", CHECKSUMS)
    mend()
    assert scene.call("DELETE /uploads/{id}", "id-1")[0] == 409
    assert scene.complete("id-1", CHECKSUMS)[0] == 200


def test_what_the_lifecycle_threw_away_is_gone(scene: Scene) -> None:
    scene.send("id-1", BODIES[0])
    scene.s3.expire()
    assert scene.call("GET /uploads/{id}", "id-1")[1]["state"] == "aborted"
    assert scene.sign("id-1")[0] == 410
    assert scene.complete("id-1")[0] == 410


def test_an_upload_that_the_ledger_did_not_get_to_know_is_nobodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()

    def fails(*_: object) -> set[str]:
        raise UnavailableError("DynamoDB")

    monkeypatch.setattr(scene.ledger, "put_records", fails)
    assert scene.call("POST /uploads", body={"name": "a", "size": 1})[0] == 503
    assert len(scene.s3.open) == 1  # the bucket's lifecycle throws it away
    assert scene.call("GET /uploads/{id}", "id-1")[0] == 404


def test_a_completion_that_wins_over_an_abortion_stays(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The abortion has looked, and found no object; then the completion comes, and then it goes on."""
    scene.send("id-1", *BODIES)
    real = scene.s3.abort

    def late(upload: Upload) -> None:
        assert scene.complete("id-1", CHECKSUMS)[0] == 200
        real(upload)

    monkeypatch.setattr(scene.s3, "abort", late)
    status, problem = scene.call("DELETE /uploads/{id}", "id-1")
    assert (status, problem["code"]) == (409, "completed")
    assert scene.call("GET /uploads/{id}", "id-1")[1]["state"] == "completed"


SMALL = (b"small",)
SMALL_CHECKSUMS = [digest_of(body) for body in SMALL]
STEPS = ("complete", "complete, lost", "complete, unnoted", "abort", "abort, lost", "look", "send", "expire")


@given(st.lists(st.sampled_from(STEPS), max_size=8))
def test_whatever_is_repeated_lost_or_raced_an_upload_has_one_end(steps: list[str]) -> None:
    """An object that was told of stays told of; what was aborted makes none."""
    scene = Scene()
    key = scene.begin(size=len(SMALL[0]))["key"]
    scene.send("id-1", *SMALL)
    for step in steps:
        with pytest.MonkeyPatch.context() as patch:
            told = take(scene, step, patch)
        there = key in scene.s3.objects
        assert not (told == "completed" and not there), step
        assert not (told == "aborted" and there), step
    status, answer = scene.complete("id-1", SMALL_CHECKSUMS)
    assert (status == 200) == (key in scene.s3.objects), answer
    assert scene.complete("id-1", SMALL_CHECKSUMS) == (status, answer)


def take(scene: Scene, step: str, patch: pytest.MonkeyPatch) -> str:
    """One request, or something that happens; answers the state that the caller was told of, if any."""
    if step == "expire":
        scene.s3.expire()
        return ""
    if step == "send":
        status, page = scene.sign("id-1", 1, *SMALL_CHECKSUMS)
        for part, body in zip(page.get("parts", []), SMALL, strict=status == 200):
            scene.s3.put(part["url"], body, part["headers"])
        return ""
    name, _, fate = step.partition(", ")
    if fate == "lost":
        lose_answer(scene, patch, name)
    if fate == "unnoted":
        patch.setattr(scene.ledger, "put_records", unavailable)
    if name == "complete":
        return str(scene.complete("id-1", SMALL_CHECKSUMS)[1].get("state", ""))
    route = "GET /uploads/{id}" if name == "look" else "DELETE /uploads/{id}"
    return str(scene.call(route, "id-1")[1].get("state", ""))


def unavailable(*_: object) -> set[str]:
    raise UnavailableError("DynamoDB")
