"""The upload API: what it answers, to whom, and what it makes of bad input."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from signalbox.documents.uploads.api import ROUTES, respond
from signalbox.documents.uploads.planning import MIB
from signalbox.errors import AccessDeniedError, SignalboxError, ThrottledError
from tests.unit.documents.uploads.multipart import digest_of
from tests.unit.documents.uploads.scene import BODIES, JANE, JOE, NOON, Scene

KEY = "uploads/2026/01/01/id-1/a.pdf"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_upload_from_begin_to_end(scene: Scene) -> None:
    begun = scene.begin()
    assert begun == {
        "id": "id-1",
        "key": KEY,
        "state": "open",
        "size": 12 * MIB,
        "part_size": 8 * MIB,
        "part_count": 2,
        "content_type": "application/pdf",
        "began_at": "2026-01-01T12:00:00Z",
        "etag": "",
        "version_id": "",
        "checksum": "",
    }
    checksums = scene.send("id-1", *BODIES)
    status, done = scene.complete("id-1", checksums)
    assert (status, done["state"], done["key"]) == (200, "completed", KEY)
    digests = b"".join(sha256(body).digest() for body in BODIES)
    assert done["checksum"] == b64encode(sha256(digests).digest()).decode() + "-2"
    assert scene.s3.objects[KEY][2] == b"".join(BODIES)


def test_an_empty_file_has_one_empty_part(scene: Scene) -> None:
    scene.begin(size=0)
    scene.send("id-1", b"")
    assert scene.complete("id-1", [digest_of(b"")])[0] == 200
    assert scene.s3.objects[KEY][2] == b""


def test_signed_parts_come_in_pages_of_a_hundred(scene: Scene) -> None:
    scene.begin(size=1_000 * MIB, part_size=5 * MIB)
    _, page = scene.sign("id-1")
    assert ([part["number"] for part in page["parts"]], page["next"]) == ([*range(1, 101)], 101)
    _, page = scene.sign("id-1", 101)
    assert ([part["number"] for part in page["parts"]], page["next"]) == ([*range(101, 201)], None)


def test_a_page_says_how_long_it_holds_and_what_each_part_must_be(scene: Scene) -> None:
    scene.begin()
    checksum = digest_of(BODIES[1])
    _, page = scene.sign("id-1", 2, checksum)
    assert page["expires_at"] == "2026-01-01T12:15:00Z"
    [part] = page["parts"]
    assert (part["number"], part["size"]) == (2, 4 * MIB)
    assert part["headers"] == {"x-amz-checksum-sha256": checksum}
    assert scene.s3.put(part["url"], b"c" * (4 * MIB), part["headers"]) == 400
    assert scene.s3.put(part["url"], BODIES[0], part["headers"]) == 403


def test_checksums_may_be_in_the_alphabet_for_urls(scene: Scene) -> None:
    scene.begin()
    plain = b64encode(b"\xff\xfe" * 16).decode()
    assert set("+/=") & set(plain)
    for_urls = plain.translate(str.maketrans("+/", "-_")).rstrip("=")
    assert scene.sign("id-1", 1, for_urls)[1]["parts"][0]["headers"] == {"x-amz-checksum-sha256": plain}


def test_what_is_there_can_be_looked_at_page_by_page(scene: Scene) -> None:
    scene.begin()
    scene.s3.page = 1
    checksums = scene.send("id-1", *BODIES)
    status, first = scene.call("GET /uploads/{id}", "id-1")
    assert (status, first["state"], first["next"]) == (200, "open", 1)
    _, second = scene.call("GET /uploads/{id}", "id-1", query={"after": "1"})
    assert second["next"] is None
    parts = first["parts"] + second["parts"]
    assert [(part["number"], part["size"], part["checksum"]) for part in parts] == [
        (1, 8 * MIB, checksums[0]),
        (2, 4 * MIB, checksums[1]),
    ]
    assert scene.complete("id-1", checksums)[0] == 200  # of both pages
    _, ended = scene.call("GET /uploads/{id}", "id-1")
    assert (ended["state"], ended["parts"]) == ("completed", [])


def test_another_caller_learns_nothing_of_an_upload(scene: Scene) -> None:
    scene.begin()
    for route in ROUTES:
        if "{id}" in route:
            status, answer = scene.call(route, "id-1", caller=JOE)
            assert (status, answer["code"]) == (404, "unknown-upload"), route
            _, unknown = scene.call(route, "never", caller=JANE)
            assert unknown == answer
    assert scene.call("GET /uploads/{id}", "id-1")[0] == 200


def test_what_s3_calls_an_upload_and_whose_it_is_stay_here(scene: Scene) -> None:
    scene.begin()
    _, answer = scene.call("GET /uploads/{id}", "id-1")
    assert not {"owner", "multipart_id"} & answer.keys()


SHA = digest_of(b"")
BAD: list[tuple[str, str, Any, dict[str, str], int, str, str]] = [
    ("POST /uploads", "", "{", {}, 400, "unreadable", "$"),
    ("POST /uploads", "", '"\ud800"', {}, 400, "unreadable", "$"),
    ("POST /uploads", "", None, {}, 400, "unreadable", "$"),
    ("POST /uploads", "", [], {}, 400, "malformed", "$"),
    ("POST /uploads", "", {"name": "a"}, {}, 400, "malformed", "$"),
    ("POST /uploads", "", {"name": "a", "size": "1"}, {}, 400, "malformed", "$.size"),
    ("POST /uploads", "", {"name": "a", "size": 1.5}, {}, 400, "malformed", "$.size"),
    ("POST /uploads", "", {"name": 7, "size": 1}, {}, 400, "malformed", "$.name"),
    ("POST /uploads", "", {"name": "a", "size": 1, "key": "x"}, {}, 400, "malformed", "$"),
    ("POST /uploads", "", {"name": "", "size": 1}, {}, 400, "bad-name", "$.name"),
    ("POST /uploads", "", {"name": "a", "size": -1}, {}, 400, "bad-size", "$.size"),
    ("POST /uploads", "", {"name": "a", "size": 2**63}, {}, 413, "too-large", "$.size"),
    ("POST /uploads", "", {"name": "a", "size": 1, "part_size": 1}, {}, 400, "bad-part-size", "$.part_size"),
    (
        "POST /uploads",
        "",
        {"name": "a", "size": 1, "content_type": "x"},
        {},
        400,
        "bad-content-type",
        "$.content_type",
    ),
    ("GET /uploads/{id}/parts", "id-1", None, {"from": "0"}, 400, "bad-part", "?from"),
    ("GET /uploads/{id}/parts", "id-1", None, {"from": "3"}, 400, "bad-part", "?from"),
    ("GET /uploads/{id}/parts", "id-1", None, {"from": "-1"}, 400, "bad-number", "?from"),
    ("GET /uploads/{id}/parts", "id-1", None, {"from": "²"}, 400, "bad-number", "?from"),
    ("GET /uploads/{id}/parts", "id-1", None, {"from": "1" * 5_000}, 400, "bad-number", "?from"),
    ("GET /uploads/{id}/parts", "id-1", None, {"checksums": "x"}, 400, "bad-checksum", "?checksums[0]"),
    (
        "GET /uploads/{id}/parts",
        "id-1",
        None,
        {"checksums": f"{SHA},é"},
        400,
        "bad-checksum",
        "?checksums[1]",
    ),
    (
        "GET /uploads/{id}/parts",
        "id-1",
        None,
        {"checksums": ",".join([SHA] * 3)},
        400,
        "bad-checksums",
        "?checksums",
    ),
    ("GET /uploads/{id}", "id-1", None, {"after": "x"}, 400, "bad-number", "?after"),
    ("POST /uploads/{id}/complete", "id-1", {"parts": [SHA]}, {}, 400, "bad-checksums", "$.parts"),
    ("POST /uploads/{id}/complete", "id-1", {"parts": ["", SHA]}, {}, 400, "bad-checksum", "$.parts[0]"),
    ("POST /uploads/{id}/complete", "id-1", {"parts": "x"}, {}, 400, "malformed", "$.parts"),
    ("POST /uploads/{id}/complete", "id-1", {"etags": []}, {}, 400, "malformed", "$"),
    ("PUT /uploads", "", None, {}, 404, "unknown-route", "path"),
]


@pytest.mark.parametrize(("route", "upload", "body", "query", "status", "code", "where"), BAD)
def test_bad_input(
    scene: Scene,
    route: str,
    upload: str,
    body: Any,
    query: dict[str, str],
    status: int,
    code: str,
    where: str,
) -> None:
    scene.begin()
    answered, problem = scene.call(route, upload, body, query=query)
    assert (answered, problem["code"], problem["where"]) == (status, code, where)
    assert problem["message"]
    assert scene.errors == []


@pytest.mark.parametrize("context", [{}, {"authorizer": None}, {"authorizer": {"iam": None}}])
def test_who_is_nobody_is_refused(scene: Scene, context: dict[str, Any]) -> None:
    event = {"routeKey": "POST /uploads", "requestContext": context, "body": '{"name": "a", "size": 1}'}
    assert respond(scene.uploads, event, scene.errors.append)["statusCode"] == 403
    assert scene.s3.open == {}


def test_a_body_in_base64(scene: Scene) -> None:
    event = {
        "routeKey": "POST /uploads",
        "requestContext": {"authorizer": {"iam": JANE}},
        "body": b64encode(b'{"name": "a", "size": 1}').decode(),
        "isBase64Encoded": True,
    }
    assert respond(scene.uploads, event, scene.errors.append)["statusCode"] == 201
    event["body"] = "=!"
    assert respond(scene.uploads, event, scene.errors.append)["statusCode"] == 400


@pytest.mark.parametrize(
    ("error", "status", "code", "headers"),
    [
        (ThrottledError("SlowDown"), 503, "throttled", {"retry-after": "2"}),
        (AccessDeniedError("role x may not s3:PutObject"), 500, "internal", {}),
    ],
)
def test_what_is_not_the_callers_fault_is_told_to_the_log_alone(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    error: SignalboxError,
    status: int,
    code: str,
    headers: dict[str, str],
) -> None:
    def fails(*_: object) -> str:
        raise error

    monkeypatch.setattr(scene.s3, "begin", fails)
    answered, problem = scene.call("POST /uploads", body={"name": "a", "size": 1})
    assert (answered, problem["code"]) == (status, code)
    assert str(error) not in problem["message"]
    assert scene.errors == [error]


def test_signed_parts_are_only_for_the_uploads_own_life(scene: Scene) -> None:
    scene.begin()
    checksums = scene.send("id-1", *BODIES)
    scene.complete("id-1", checksums)
    assert scene.sign("id-1")[0] == 409
    scene.begin()
    scene.call("DELETE /uploads/{id}", "id-2")
    assert scene.sign("id-2")[0] == 410
    assert scene.clock.at == NOON
