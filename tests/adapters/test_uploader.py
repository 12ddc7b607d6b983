"""The uploader over HTTP: how it signs, sends, reads answers, remembers; the command itself on a server."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials

from operations import cli, upload_command
from operations.upload_http import Http, HttpApi, HttpSender, Signer
from operations.upload_notes import Notes
from operations.uploading import TRIES, EndedError, ExpiredError, PartsError, Signed
from signalbox.aws.clients import session
from signalbox.errors import (
    AccessDeniedError,
    RefusedError,
    RejectedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)

SIGNER = Signer(Credentials("AKIDEXAMPLE", "secret", "token"), "eu-central-1")
BEGUN = {"id": "id-1", "key": "uploads/a", "size": 3, "part_size": 5, "part_count": 1, "state": "open"}


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers one after another, and the last of them for ever. Keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        with self.lock:
            self.asked.append(asked)
            status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = state.answer(Asked(self.command, self.path, headers, body))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


def api(server: Server, pauses: list[float] | None = None) -> HttpApi:
    return HttpApi(Http(1, server.url), server.url, SIGNER, (pauses if pauses is not None else []).append)


def test_calls_of_the_api_are_signed(server: Server) -> None:
    server.answers = [(201, BEGUN)]
    assert api(server).begin("a b.txt", 3, 0).key == "uploads/a"
    [asked] = server.asked
    assert (asked.method, asked.path, json.loads(asked.body)) == (
        "POST",
        "/uploads",
        {"name": "a b.txt", "size": 3},
    )
    assert "/eu-central-1/execute-api/aws4_request" in asked.headers["authorization"]
    assert asked.headers["x-amz-security-token"] == "token"


def test_a_page_is_asked_for_with_checksums_that_a_url_can_hold(server: Server) -> None:
    part: dict[str, Any] = {
        "number": 2,
        "size": 3,
        "url": "http://s3/x",
        "headers": {"x-amz-checksum-sha256": "+/+="},
    }
    server.answers = [(200, {"parts": [part], "expires_at": "", "next": None})]
    assert api(server).sign("id-1", 2, ["+/+=", "AA=="]) == [Signed(**part)]
    assert server.asked[0].path == "/uploads/id-1/parts?from=2&checksums=-_-%2CAA"


def test_all_pages_of_what_is_there_are_read(server: Server) -> None:
    pages = [
        BEGUN | {"parts": [{"number": 1, "checksum": "a"}], "next": 1},
        BEGUN | {"parts": [{"number": 2, "checksum": "b"}], "next": None},
    ]
    server.answers = [(200, page) for page in pages]
    begun, there = api(server).look("id-1")
    assert (begun.id, there) == ("id-1", {1: "a", 2: "b"})
    assert server.asked[1].path == "/uploads/id-1?after=1"


def test_what_passes_is_asked_again(server: Server) -> None:
    server.answers = [(503, {"code": "throttled", "message": "…"}), (429, {"message": "…"}), (201, BEGUN)]
    pauses: list[float] = []
    assert api(server, pauses).begin("a", 3, 0).id == "id-1"
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (403, {"message": "Forbidden"}, AccessDeniedError),
        (403, {"code": "no-identity", "message": "…", "where": "…"}, AccessDeniedError),
        (404, {"code": "unknown-upload", "message": "…"}, EndedError),
        (404, {"message": "Not Found"}, RejectedError),  # another API's
        (410, {"code": "aborted", "message": "…"}, EndedError),
        (409, {"code": "parts-missing", "message": "…", "missing": [2]}, PartsError),
        (409, {"code": "parts-differ", "message": "…", "different": [2]}, PartsError),
        (409, {"code": "completed-differently", "message": "…"}, RejectedError),
        (413, {"code": "too-large", "message": "…", "where": "$.size"}, RejectedError),
        (400, b"<html>", RejectedError),
        (429, {"message": "Too Many Requests"}, ThrottledError),
        (500, b"", UnavailableError),
    ],
)
def test_what_the_api_refuses(server: Server, status: int, answer: Any, kind: type[SignalboxError]) -> None:
    server.answers = [(status, answer)]
    with pytest.raises(kind):
        api(server).complete("id-1", [])
    assert len(server.asked) == (TRIES if status in {429, 500} else 1)


def test_a_part_is_sent_with_its_headers_and_its_size(server: Server) -> None:
    server.answers = [(200, b"")]
    part = Signed(1, 6, f"{server.url}/bucket/key?partNumber=1", {"x-amz-checksum-sha256": "sum"})
    HttpSender(Http(1, server.url)).send(part, iter([b"abc", b"def"]))
    [asked] = server.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/bucket/key?partNumber=1", b"abcdef")
    assert (asked.headers["content-length"], asked.headers["x-amz-checksum-sha256"]) == ("6", "sum")
    assert "transfer-encoding" not in asked.headers
    assert "content-type" not in asked.headers


def s3_error(code: str) -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>…</Message></Error>'.encode()


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (403, s3_error("AccessDenied"), ExpiredError),  # "Request has expired"
        (400, s3_error("ExpiredToken"), ExpiredError),
        (503, s3_error("SlowDown"), UnavailableError),
        (500, b"", UnavailableError),
        (400, s3_error("RequestTimeout"), UnavailableError),
        (400, s3_error("BadDigest"), UnavailableError),
        (404, s3_error("NoSuchUpload"), EndedError),
        (400, s3_error("EntityTooLarge"), RefusedError),
        (301, s3_error("PermanentRedirect"), RefusedError),
    ],
)
def test_what_s3_refuses(server: Server, status: int, answer: bytes, kind: type[SignalboxError]) -> None:
    server.answers = [(status, answer)]
    with pytest.raises(SignalboxError) as raised:
        HttpSender(Http(1, server.url)).send(Signed(7, 1, server.url, {}), iter([b"x"]))
    assert type(raised.value) is kind
    assert "part 7" in str(raised.value)


def test_no_answer_is_worth_another_try() -> None:
    with pytest.raises(UnavailableError):
        HttpSender(Http(1, "http://127.0.0.1:9")).send(Signed(1, 1, "http://127.0.0.1:9", {}), iter([b"x"]))


def test_a_note_is_of_one_file_and_one_api(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "state")
    file = tmp_path / "a.txt"
    assert notes.find(file, "https://api") is None
    notes.write(file, "https://api", 3, "id-1")
    found = notes.find(file, "https://api")
    assert found is not None
    assert (found.upload, found.size, found.path) == ("id-1", 3, str(file))
    assert notes.find(file, "https://other") is None
    assert notes.find(tmp_path / "b.txt", "https://api") is None
    [kept] = (tmp_path / "state").iterdir()
    kept.write_bytes(b"{")
    assert notes.find(file, "https://api") is None
    notes.drop(file, "https://api")
    notes.drop(file, "https://api")


@dataclass
class Shell:
    """Somebody's shell."""

    server: Server
    folder: Path

    def upload(self, *arguments: str) -> int:
        return cli.main(["upload", "--url", self.server.url, *arguments])

    def file(self, name: str = "a.txt", content: bytes = b"abc") -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


@pytest.fixture
def shell(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(upload_command, "_credentials", lambda: SIGNER.credentials)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    session.cache_clear()
    return Shell(server, tmp_path)


def part_answer(server: Server) -> dict[str, Any]:
    part = {"number": 1, "size": 3, "url": f"{server.url}/part", "headers": {}}
    return {"parts": [part], "expires_at": "", "next": None}


def test_the_command_uploads_and_prints_the_key(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.server.answers = [(201, BEGUN), (200, part_answer(shell.server)), (200, b""), (200, BEGUN)]
    file = shell.file()
    assert shell.upload(file, "--jobs", "1") == 0
    assert capsys.readouterr().out == f"{file} → uploads/a\n"
    assert [asked.method for asked in shell.server.asked] == ["POST", "GET", "PUT", "POST"]
    assert not list((shell.folder / "state").rglob("*.json"))


def test_a_failure_says_how_to_go_on_and_going_on_does(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shell.file()
    shell.server.answers = [(201, BEGUN), (200, part_answer(shell.server)), (400, s3_error("EntityTooLarge"))]
    assert shell.upload(file, "--jobs", "1") == 1
    said = capsys.readouterr().err
    assert "EntityTooLarge" in said
    assert "--resume" in said
    shell.server.asked.clear()
    there = BEGUN | {"parts": [], "next": None}
    shell.server.answers = [(200, there), (200, part_answer(shell.server)), (200, b""), (200, BEGUN)]
    assert shell.upload(file, "--jobs", "1", "--resume") == 0
    assert next((a.method, a.path) for a in shell.server.asked) == ("GET", "/uploads/id-1")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((410, {"code": "aborted", "message": "…"}), "has expired. Beginning anew"),
        ((200, BEGUN | {"state": "aborted", "parts": [], "next": None}), "has expired. Beginning anew"),
    ],
)
def test_what_can_not_be_gone_on_with_is_begun_anew(
    shell: Shell, capsys: pytest.CaptureFixture[str], answer: tuple[int, Any], said: str
) -> None:
    file = Path(shell.file())
    Notes().write(file, shell.server.url, 3, "id-1")
    shell.server.answers = [answer, (201, BEGUN), (200, part_answer(shell.server)), (200, b""), (200, BEGUN)]
    assert shell.upload(str(file), "--jobs", "1", "--resume") == 0
    assert said in capsys.readouterr().err


def test_a_file_of_another_size_is_begun_anew(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(shell.file())
    Notes().write(file, shell.server.url, 4, "id-1")
    shell.server.answers = [(201, BEGUN), (200, part_answer(shell.server)), (200, b""), (200, BEGUN)]
    assert shell.upload(str(file), "--jobs", "1", "--resume") == 0
    assert "another size" in capsys.readouterr().err


def test_one_that_fails_does_not_hold_up_the_others(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    refused = (413, {"code": "too-large", "message": "too large", "where": "$.size"})
    shell.server.answers = [refused, (201, BEGUN), (200, part_answer(shell.server)), (200, b""), (200, BEGUN)]
    assert shell.upload(shell.file("large"), good := shell.file("good"), "--jobs", "1") == 1
    said = capsys.readouterr()
    assert "too large" in said.err
    assert said.out == f"{good} → uploads/a\n"


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_a_wrong_use(shell: Shell, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert shell.upload(str(shell.folder / name)) == 2
    assert str(shell.folder) in capsys.readouterr().err
    assert shell.server.asked == []


@pytest.mark.parametrize(
    "arguments",
    [("--jobs", "0"), ("--jobs", "65"), ("--part-size", "8X"), ("--part-size", ""), ("--stack", "x")],
)
def test_wrong_options(shell: Shell, arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        shell.upload(shell.file(), *arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize("url", ["ftp://x", "nonsense"])
def test_an_address_that_is_none(shell: Shell, url: str) -> None:
    assert cli.main(["upload", "--url", url, shell.file()]) == 2


def test_the_region_is_the_addresss(shell: Shell) -> None:
    target = upload_command.at("https://abc123.execute-api.eu-west-3.amazonaws.com/")
    assert (target.url, target.signer.region) == (
        "https://abc123.execute-api.eu-west-3.amazonaws.com",
        "eu-west-3",
    )
