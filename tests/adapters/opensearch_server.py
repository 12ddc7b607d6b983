"""OpenSearch's wire protocol on the loopback, over the cluster in memory. It refuses what is not signed."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from signalbox.documents.opensearch_index import Action, Item
from signalbox.errors import NotFoundError
from tests.unit.documents.opensearch import FakeCluster

SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>es|aoss)/aws4_request, "
    r"SignedHeaders=(?P<headers>[^,]+), Signature=[0-9a-f]{64}"
)
SERVERLESS_PARAMETERS = {"timeout"}
"""What a serverless collection takes of bulk's, as users of it found out."""


class Faulty(msgspec.Struct):
    """What the next answer is instead: a status, or a body that ends too early."""

    status: int = 200
    body: Any = None
    truncated: bool = False


class Server(ThreadingHTTPServer):
    """Attributes:
    cluster: what it holds.
    faults: by the path's last part, in turn.
    requests: (method, path, parameters) of each.
    """

    daemon_threads = True

    def __init__(self, service: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        self.cluster = FakeCluster()
        self.faults: dict[str, list[Faulty]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(service: str) -> Iterator[Server]:
    with Server(service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        pass

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        parameters = dict(part.split("=", 1) for part in query.split("&") if part)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, path, parameters))
        faults = self.server.faults.get(path.rpartition("/")[2], [])
        fault = faults.pop(0) if faults else None
        if fault is not None and not fault.truncated:
            self._send(fault.status, fault.body or _error(fault.status, "some_exception"))
            return
        status, answer = self._unsigned() or self._do(path.strip("/").split("/"), parameters, body)
        self._send(status, answer, truncated=fault is not None)

    def _unsigned(self) -> tuple[int, Any] | None:
        signed = SIGNED.fullmatch(self.headers.get("Authorization", ""))
        if signed is None or signed["service"] != self.server.service:
            return 403, {"message": "The request signature we calculated does not match"}
        if "x-amz-content-sha256" not in {name.lower() for name in self.headers}:
            return 403, {"message": "x-amz-content-sha256 is missing"}
        return None

    def _do(self, parts: list[str], parameters: dict[str, str], body: bytes) -> tuple[int, Any]:
        match (self.command, parts):
            case ("POST", ["_bulk"]):
                return self._bulk(parameters, body)
            case ("PUT", [index]):
                return self._create(index, json.loads(body)["mappings"]["properties"])
            case ("GET" | "POST", [index, "_mget"]):
                return self._mget(index, json.loads(body)["ids"])
            case ("GET" | "POST", [index, "_search"]):
                return self._search(index, json.loads(body))
        return 404, _error(404, "no_handler_found")

    def _create(self, index: str, fields: dict[str, Any]) -> tuple[int, Any]:
        if index in self.server.cluster.indices:
            return 400, _error(400, "resource_already_exists_exception")
        self.server.cluster.create(index, fields)
        return 200, {"acknowledged": True, "index": index}

    def _bulk(self, parameters: dict[str, str], body: bytes) -> tuple[int, Any]:
        unknown = self.server.service == "aoss" and not parameters.keys() <= SERVERLESS_PARAMETERS
        if unknown or not body.endswith(b"\n"):
            return 400, _error(400, "illegal_argument_exception")
        lines = iter(body.splitlines())
        items = []
        for line in lines:
            [(verb, target)] = json.loads(line).items()
            assert target["version_type"] == "external_gte"
            source = next(lines) if verb == "index" else None
            action = Action(
                index=target["_index"], id=target["_id"], generation=target["version"], source=source
            )
            [item] = self.server.cluster.bulk([action])
            items.append({verb: {"_index": action.index, "_id": action.id} | _result(item)})
        return 200, {
            "took": 1,
            "errors": any("error" in v for i in items for v in i.values()),
            "items": items,
        }

    def _mget(self, index: str, ids: list[str]) -> tuple[int, Any]:
        try:
            found = self.server.cluster.get(index, ids)
        except NotFoundError:
            error = {"error": {"type": "index_not_found_exception"}}
            return 200, {"docs": [{"_id": id_} | error for id_ in ids]}
        sources = {id_: {"_source": source} for id_, source in found.items()}
        return 200, {"docs": [{"_id": id_, "found": id_ in found} | sources.get(id_, {}) for id_ in ids]}

    def _search(self, index: str, body: dict[str, Any]) -> tuple[int, Any]:
        hits = [
            {"_id": hit.id, "_score": hit.score} | ({"_source": hit.source} if hit.source else {})
            for hit in self.server.cluster.search(index, body)
        ]
        shards = {"total": 5, "successful": 5, "failed": 0}
        return 200, {"timed_out": False, "_shards": shards, "hits": {"hits": hits}}

    def _send(self, status: int, answer: Any, *, truncated: bool = False) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if truncated else body)
        self.close_connection = truncated


def _result(item: Item) -> dict[str, Any]:
    error = {"error": {"type": item.kind, "reason": item.reason}} if item.kind else {}
    return {"status": item.status} | error


def _error(status: int, kind: str) -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "reason": "why", "root_cause": []}}
