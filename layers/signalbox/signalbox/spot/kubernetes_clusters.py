"""EKS clusters through the Kubernetes API, with this program's errors.

The bearer token is a presigned request to STS that says who we are, bound to one cluster by a signed header:
Amazon EKS User Guide, "Cluster access"; its format is aws-iam-authenticator's.
"""

import base64
import ssl
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.models import Cluster as Endpoint
from lightkube.config.models import User
from lightkube.models.meta_v1 import DeleteOptions, ObjectMeta, Preconditions, Status
from lightkube.resources.core_v1 import Node
from lightkube.resources.core_v1 import Pod as PodResource
from lightkube.types import PatchType

from signalbox.aws.calls import call
from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from signalbox.spot.nodes import DisruptionBudgetError, Pod

if TYPE_CHECKING:
    from mypy_boto3_eks import EKSClient
    from mypy_boto3_sts import STSClient

    from signalbox.clock import Clock

PAGE = 500
CONNECT_TIMEOUT_SECONDS = 2.0
ANSWER_TIMEOUT_SECONDS = 10.0
DESCRIBED_SECONDS = 300.0
"""How long a cluster's endpoint is believed: one of the same name may have been made anew."""
TOKEN_SECONDS = 60
TOKEN_MARGIN_SECONDS = 15.0
TOKEN_PREFIX = "k8s-aws-v1."  # noqa: S105 - what every such token begins with
CLUSTER_HEADER = "x-k8s-aws-id"
CLUSTER_PARAMETER = "ClusterName"
DEFAULT_GRACE_SECONDS = 30  # the API server's own default
BUDGET_CAUSE = "DisruptionBudget"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


class EksClusters:
    """`signalbox.spot.nodes.Clusters` on EKS."""

    def __init__(self, eks: "EKSClient", sts: "STSClient", clock: "Clock") -> None:
        self._eks = eks
        self._sts = sts
        self._clock = clock
        self._known: dict[str, tuple[float, KubernetesCluster]] = {}
        sign_cluster_names(sts)

    def cluster(self, name: str) -> "KubernetesCluster":
        until, known = self._known.get(name, (0.0, None))
        if known and self._clock() < until:
            return known
        if known:
            known.close()
        connected = self._connect(name)
        self._known[name] = (self._clock() + DESCRIBED_SECONDS, connected)
        return connected

    def close(self) -> None:
        """Closes every connection."""
        for _, known in self._known.values():
            known.close()

    def _connect(self, name: str) -> "KubernetesCluster":
        described = call(self._eks.describe_cluster, name=name)["cluster"]
        endpoint, authority = described.get("endpoint"), described.get("certificateAuthority", {}).get("data")
        if not endpoint or not authority:
            raise UnavailableError(f"cluster {name} has no endpoint yet: it is {described.get('status')}")
        token = BearerToken(self._sts, name, self._clock)
        return KubernetesCluster(kubernetes_client(endpoint, authority, token))


class BearerToken:
    """A token for one cluster, signed anew before it expires.

    Kept in between: the API server asks STS about each token that it has not seen.
    """

    def __init__(self, sts: "STSClient", cluster: str, clock: "Clock") -> None:
        self._sts = sts
        self._cluster = cluster
        self._clock = clock
        self._signed: tuple[float, str] = (0.0, "")

    def __call__(self) -> str:
        until, token = self._signed
        now = self._clock()
        if now >= until:
            token = self._sign()
            self._signed = (now + TOKEN_SECONDS - TOKEN_MARGIN_SECONDS, token)
        return token

    def _sign(self) -> str:
        url = call(
            self._sts.generate_presigned_url,
            "get_caller_identity",
            Params={CLUSTER_PARAMETER: self._cluster},
            ExpiresIn=TOKEN_SECONDS,
            HttpMethod="GET",
        )
        return TOKEN_PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def sign_cluster_names(sts: "STSClient") -> None:
    """Has the client take a cluster's name with GetCallerIdentity and sign it as a header."""

    def take(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        if CLUSTER_PARAMETER in params:
            context[CLUSTER_PARAMETER] = params.pop(CLUSTER_PARAMETER)

    def put(request: Any, **_: object) -> None:
        if CLUSTER_PARAMETER in request.context:
            request.headers[CLUSTER_HEADER] = request.context[CLUSTER_PARAMETER]

    events = sts.meta.events
    events.register("provide-client-params.sts.GetCallerIdentity", take, unique_id="signalbox-take-cluster")
    events.register("before-sign.sts.GetCallerIdentity", put, unique_id="signalbox-sign-cluster")


class _Bearer(httpx2.BaseTransport):
    """Adds the token of the moment: lightkube itself knows only one for the life of a client."""

    def __init__(self, token: Callable[[], str], transport: httpx2.BaseTransport) -> None:
        self._token = token
        self._transport = transport

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


def kubernetes_client(endpoint: str, authority: str, token: Callable[[], str]) -> Client:
    """A client of the API server at ``endpoint``, trusted for its certificate authority (PEM in base64)."""
    trust = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    # EKS makes its authorities without key identifiers, which Python's strict mode (3.13) does not take:
    # kubernetes-client/python#2394. Chain and host name are verified all the same.
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return Client(
        KubeConfig.from_one(cluster=Endpoint(server=endpoint, certificate_auth_data=authority), user=User()),
        timeout=httpx2.Timeout(ANSWER_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS),
        trust_env=False,
        transport=_Bearer(token, httpx2.HTTPTransport(verify=trust)),
    )


class KubernetesCluster:
    """`signalbox.spot.nodes.Cluster` through lightkube. May be used from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        self._client.close()

    def nodes(self, instances: Collection[str]) -> dict[str, str]:
        return _called("list nodes", lambda: self._nodes(set(instances)))

    def _nodes(self, wanted: set[str]) -> dict[str, str]:
        """Page by page, no further than needed: a node can't be asked for by its instance."""
        found: dict[str, str] = {}
        for node in self._client.list(Node, chunk_size=PAGE):
            instance = _instance(node)
            if instance in wanted and node.metadata and node.metadata.name:
                found[instance] = node.metadata.name
                if len(found) == len(wanted):
                    break
        return found

    def cordon(self, node: str) -> None:
        unschedulable = {"spec": {"unschedulable": True}}
        _called(
            f"cordon {node}",
            lambda: self._client.patch(Node, node, unschedulable, patch_type=PatchType.MERGE),
        )

    def pods(self, node: str) -> list[Pod]:
        listed = _called(
            f"list pods of {node}",
            lambda: list(
                self._client.list(PodResource, namespace="*", fields={"spec.nodeName": node}, chunk_size=PAGE)
            ),
        )
        return [_pod(pod) for pod in listed]

    def evict(self, pod: Pod, grace: int) -> None:
        eviction = PodResource.Eviction(
            metadata=ObjectMeta(name=pod.name, namespace=pod.namespace),
            deleteOptions=DeleteOptions(gracePeriodSeconds=grace, preconditions=Preconditions(uid=pod.uid)),
        )
        _called(
            f"evict {pod.full_name}",
            lambda: self._client.create(eviction, pod.name, namespace=pod.namespace),
        )

    def delete(self, pod: Pod, grace: int) -> None:
        _called(
            f"delete {pod.full_name}",
            lambda: self._client.delete(PodResource, pod.name, namespace=pod.namespace, grace_period=grace),
        )


def _called[T](what: str, operation: Callable[[], T]) -> T:
    """Calls the Kubernetes API.

    Raises:
        SignalboxError: what went wrong, as one of this program's kinds.
    """
    try:
        return operation()
    except ApiError as error:
        raise translate(what, error.response.status_code, error.status) from error
    except httpx2.HTTPStatusError as error:  # the body is not Kubernetes' own
        raise translate(what, error.response.status_code, Status()) from error
    except (httpx2.HTTPError, msgspec.MsgspecError) as error:
        raise UnavailableError(f"{what}: {type(error).__name__}: {error}") from error


def translate(what: str, code: int, status: Status) -> SignalboxError:
    """The kind of an error of the Kubernetes API, by its HTTP status and its causes."""
    message = f"{what}: {code} {status.reason or ''}: {status.message or ''}"
    if any(c.reason == BUDGET_CAUSE for c in (status.details and status.details.causes) or ()):
        return DisruptionBudgetError(message)  # a 429 as a rule; 403 where the budget is in a strange state
    if code in _KINDS:
        return _KINDS[code](message)
    return UnavailableError(message) if code >= 500 else RefusedError(message)


_KINDS: dict[int, type[SignalboxError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: ThrottledError,
}


def _instance(node: Node) -> str:
    """``aws:///<zone>/<instance>``, as EKS names its nodes' providers."""
    return (node.spec.providerID or "").rpartition("/")[2] if node.spec else ""


def _pod(pod: PodResource) -> Pod:
    meta = pod.metadata or ObjectMeta()
    grace = pod.spec.terminationGracePeriodSeconds if pod.spec else None
    controllers = [owner.kind for owner in meta.ownerReferences or () if owner.controller]
    return Pod(
        namespace=meta.namespace or "",
        name=meta.name or "",
        uid=meta.uid or "",
        grace=DEFAULT_GRACE_SECONDS if grace is None else grace,
        controller=controllers[0] if controllers else "",
        mirror=MIRROR_ANNOTATION in (meta.annotations or {}),
        finished=bool(pod.status and pod.status.phase in {"Succeeded", "Failed"}),
        terminating=meta.deletionTimestamp is not None,
    )
