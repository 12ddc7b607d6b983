"""A stand-in for the Kubernetes API of an EKS cluster: the few calls that draining takes, each checked.

Over TLS with an authority made as EKS makes them; a caller shows a bearer token, which is taken apart and its
signature computed anew. Paths, bodies and errors: Kubernetes API reference, "Pod", "Node" and "Eviction".
"""

import base64
import datetime
import ipaddress
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signalbox.spot.nodes import Pod

SECRET = "test"
REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Call(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the stand-in
    """Answered with this status."""

    def __init__(self, code: int, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.cause = cause

    def status(self) -> dict[str, Any]:
        details = {"causes": [{"reason": self.cause, "message": "needs 1 healthy pod"}]} if self.cause else {}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": REASONS.get(self.code, "Unknown"),
            "details": details,
            "code": self.code,
        }


class KubernetesApi:
    """One cluster.

    Attributes:
        page: the most items of one answer, whatever the caller's limit.
        faults: answers to come, before anything else: a refusal, or raw (status, content type, body).
        calls: every call that came with a good token.
    """

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.url = ""
        self.page = 500
        self.faults: list[Refusal | tuple[int, str, bytes]] = []
        self.calls: list[Call] = []
        self._nodes: dict[str, dict[str, Any]] = {}
        self._pods: dict[tuple[str, str], dict[str, Any]] = {}
        self._protected: set[tuple[str, str]] = set()

    # What the estate is made of

    def add_node(self, node: str, instance: str) -> None:
        self._nodes[node] = {
            "metadata": {"name": node, "uid": f"uid-of-{node}"},
            "spec": {"providerID": f"aws:///us-east-1a/{instance}"},
        }

    def add_pod(self, node: str, pod: Pod) -> None:
        owners = [{"apiVersion": "apps/v1", "kind": "Other", "name": "o", "uid": "u", "controller": False}]
        if pod.controller:
            owners.append(owners[0] | {"kind": pod.controller, "controller": True})
        metadata: dict[str, Any] = {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
        metadata["ownerReferences"] = owners
        if pod.mirror:
            metadata["annotations"] = {"kubernetes.io/config.mirror": "4d1bd8"}
        if pod.terminating:
            metadata["deletionTimestamp"] = "2026-01-31T12:00:00Z"
        self._pods[pod.namespace, pod.name] = {
            "metadata": metadata,
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": pod.grace, "containers": []},
            "status": {"phase": "Succeeded" if pod.finished else "Running"},
        }

    def protect(self, pod: Pod) -> None:
        self._protected.add((pod.namespace, pod.name))

    def vanish(self, pod: Pod) -> None:
        del self._pods[pod.namespace, pod.name]

    def is_cordoned(self, node: str) -> bool:
        return bool(self._nodes[node]["spec"].get("unschedulable"))

    # What the API does

    def answer(self, call: Call, content_type: str) -> tuple[int, Any]:
        if call.body is not None and content_type not in BODY_TYPES[call.method]:
            raise Refusal(415, f"the body of the request was in an unknown format: {content_type}")
        for method, path, operation in ROUTES:
            match = re.fullmatch(path, call.path)
            if match and method == call.method:
                return operation(self, call, *match.groups())
        raise Refusal(404, f"the server could not find the requested resource: {call.method} {call.path}")

    def list_nodes(self, call: Call) -> tuple[int, Any]:
        return self._paged("NodeList", list(self._nodes.values()), call.query)

    def patch_node(self, call: Call, name: str) -> tuple[int, Any]:
        if name not in self._nodes:
            raise Refusal(404, f'nodes "{name}" not found')
        if call.body != {"spec": {"unschedulable": True}}:
            raise Refusal(422, f"this stand-in takes no other patch than a cordon: {call.body}")
        self._nodes[name]["spec"] |= call.body["spec"]
        return 200, {"kind": "Node", "apiVersion": "v1"} | self._nodes[name]

    def list_pods(self, call: Call) -> tuple[int, Any]:
        field, _, node = call.query["fieldSelector"].partition("=")
        if field != "spec.nodeName":
            raise Refusal(400, f"field label not supported: {field}")
        return self._paged(
            "PodList", [p for p in self._pods.values() if p["spec"]["nodeName"] == node], call.query
        )

    def evict(self, call: Call, namespace: str, name: str) -> tuple[int, Any]:
        body = call.body
        if (body["apiVersion"], body["kind"]) != ("policy/v1", "Eviction"):
            raise Refusal(400, f"no Eviction of policy/v1: {body}")
        if (body["metadata"]["namespace"], body["metadata"]["name"]) != (namespace, name):
            raise Refusal(400, "name in URL does not match name in Eviction object")
        pod = self._pod(namespace, name)
        uid = body["deleteOptions"]["preconditions"]["uid"]
        if uid != pod["metadata"]["uid"]:
            raise Refusal(409, f"the UID in the precondition ({uid}) does not match the UID in record")
        if (namespace, name) in self._protected:
            raise Refusal(
                429, "Cannot evict pod as it would violate its disruption budget.", "DisruptionBudget"
            )
        self._terminate(pod, body["deleteOptions"]["gracePeriodSeconds"])
        return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def delete(self, call: Call, namespace: str, name: str) -> tuple[int, Any]:
        pod = self._pod(namespace, name)
        self._terminate(pod, int(call.query["gracePeriodSeconds"]))
        return 200, {"kind": "Pod", "apiVersion": "v1"} | pod

    def _pod(self, namespace: str, name: str) -> dict[str, Any]:
        if (namespace, name) not in self._pods:
            raise Refusal(404, f'pods "{name}" not found')
        return self._pods[namespace, name]

    def _terminate(self, pod: dict[str, Any], grace: int) -> None:
        pod["metadata"] |= {"deletionTimestamp": "2026-01-31T12:00:00Z", "deletionGracePeriodSeconds": grace}

    def _paged(self, kind: str, items: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, Any]:
        start = int(query.get("continue", "0"))
        end = start + min(self.page, int(query["limit"]))
        metadata = {"resourceVersion": "1"} | ({"continue": str(end)} if end < len(items) else {})
        return 200, {"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items[start:end]}


type Operation = Callable[..., tuple[int, Any]]
POD = r"/api/v1/namespaces/([^/]+)/pods/([^/]+)"
ROUTES: list[tuple[str, str, Operation]] = [
    ("GET", "/api/v1/nodes", KubernetesApi.list_nodes),
    ("PATCH", r"/api/v1/nodes/([^/]+)", KubernetesApi.patch_node),
    ("GET", "/api/v1/pods", KubernetesApi.list_pods),
    ("POST", POD + "/eviction", KubernetesApi.evict),
    ("DELETE", POD, KubernetesApi.delete),
]
BODY_TYPES = {"PATCH": {"application/merge-patch+json"}, "POST": {"application/json"}, "DELETE": set[str]()}


def check_token(authorization: str, cluster: str) -> str:
    """The token, where it is a request that AWS would take as proof of who signed it for this cluster."""
    match = re.fullmatch(r"Bearer (k8s-aws-v1\.([A-Za-z0-9_-]+))", authorization)
    if not match:
        raise Refusal(401, "Unauthorized")
    padded = match[2] + "=" * (-len(match[2]) % 4)
    url = urlsplit(base64.urlsafe_b64decode(padded).decode())
    query = dict(parse_qsl(url.query, strict_parsing=True))
    signed = query.pop("X-Amz-Signature")
    expected = {"Action": "GetCallerIdentity", "Version": "2011-06-15", "X-Amz-Expires": "60"}
    headers = set(query["X-Amz-SignedHeaders"].split(";"))
    as_expected = expected.items() <= query.items() and headers == {"host", "x-k8s-aws-id"}
    if (url.scheme, url.path) != ("https", "/") or not re.fullmatch(
        r"sts(\..+)?\.amazonaws\.com", url.netloc
    ):
        raise Refusal(401, "Unauthorized")
    if not as_expected or signature(url.netloc, query, cluster) != signed:
        raise Refusal(401, "Unauthorized")
    return match[1]


def signature(host: str, query: dict[str, str], cluster: str) -> str:
    """What STS computes from the request and the header that the cluster's authenticator adds."""
    key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    auth = SigV4QueryAuth(Credentials(key, SECRET), service, region)
    request = AWSRequest("GET", f"https://{host}/?{urlencode(query)}", headers={"x-k8s-aws-id": cluster})
    request.context["timestamp"] = query["X-Amz-Date"]
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


class _Handler(BaseHTTPRequestHandler):
    api: ClassVar[KubernetesApi]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        try:
            token = check_token(self.headers.get("Authorization", ""), self.api.cluster)
            call = Call(self.command, url.path, query, body, token)
            self.api.calls.append(call)
            if self.api.faults:
                self._fault(self.api.faults.pop(0))
                return
            status, answer = self.api.answer(call, self.headers.get("Content-Type", ""))
        except Refusal as refusal:
            status, answer = refusal.code, refusal.status()
        self._send(status, "application/json", json.dumps(answer).encode())

    do_GET = do_PATCH = do_POST = do_DELETE = _handle  # noqa: N815 - http.server looks for these names

    def _fault(self, fault: Refusal | tuple[int, str, bytes]) -> None:
        if isinstance(fault, Refusal):
            self._send(fault.code, "application/json", json.dumps(fault.status()).encode())
        elif fault[0]:
            self._send(*fault)
        else:
            self.close_connection = True  # an answer that never comes

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Certificates(NamedTuple):
    """An authority like EKS's own, and a server that it vouches for, on 127.0.0.1."""

    authority: str
    """PEM in base64, as DescribeCluster gives it."""
    chain: Path


def make_certificates(folder: Path) -> Certificates:
    """The authority's only extension is that it is one: no key identifiers, as EKS makes them."""
    key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate(
        "kubernetes", key, "kubernetes", key, x509.BasicConstraints(ca=True, path_length=None)
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = _certificate("kube-apiserver", server_key, "kubernetes", key, address)
    pem = serialization.Encoding.PEM
    private = server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = folder / "server.pem"
    chain.write_bytes(server.public_bytes(pem) + private)
    return Certificates(base64.b64encode(root.public_bytes(pem)).decode(), chain)


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        .sign(issuer_key, hashes.SHA256())
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not trust us hangs up during the handshake: a test's own doing."""


@contextmanager
def serving(api: KubernetesApi, chain: Path) -> Iterator[KubernetesApi]:
    """Serves it on a free port of the loopback; its `url` says where."""
    handler = type("Handler", (_Handler,), {"api": api})
    server = _Server(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    # Per connection, in its own thread: a handshake that hangs must not hold up the next.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    api.url = f"https://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
