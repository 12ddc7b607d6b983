"""One suite for every cluster: what holds for the fake holds through the Kubernetes API."""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
import yaml
from moto import mock_aws
from moto.backends import get_backend

from local.settings import ROOT
from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)
from signalbox.ledger.actions import Result
from signalbox.spot.kubernetes_clusters import BearerToken, EksClusters, sign_cluster_names
from signalbox.spot.nodes import Cluster, DisruptionBudgetError, DrainNodes, Pod
from tests.adapters.kubernetes_api import (
    Call,
    Certificates,
    KubernetesApi,
    Refusal,
    make_certificates,
    serving,
)
from tests.unit.spot.clusters import FakeCluster, pod
from tests.unit.spot.doubles import ACCOUNT, REGION, MovableClock, action, instance_id

NAME = "shop-cluster"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/cluster"


def aws(service: str) -> Any:
    session = boto3.Session("test", "test", region_name=REGION)
    return session.client(service)  # type: ignore[call-overload]  # any service


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def api(certificates: Certificates) -> Iterator[KubernetesApi]:
    with serving(KubernetesApi(NAME), certificates.chain) as api:
        yield api


@pytest.fixture(scope="module")
def aws_clients() -> Iterator[tuple[Any, Any]]:
    """EKS, which knows the cluster, and STS."""
    with mock_aws():
        eks, sts = aws("eks"), aws("sts")
        subnets = {"subnetIds": ["subnet-1", "subnet-2"]}
        eks.create_cluster(name=NAME, roleArn=ROLE, resourcesVpcConfig=subnets)
        yield eks, sts


@pytest.fixture
def describe(
    aws_clients: tuple[Any, Any], api: KubernetesApi, certificates: Certificates
) -> Callable[..., None]:
    """Changes how EKS describes the cluster; as it is, to begin with."""
    (cluster,) = get_backend("eks")[ACCOUNT][REGION].clusters.values()

    def describe(endpoint: str = api.url, authority: str = certificates.authority) -> None:
        cluster.endpoint, cluster.certificate_authority = endpoint, {"data": authority}

    describe()
    return describe


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def clusters(
    aws_clients: tuple[Any, Any], describe: Callable[..., None], clock: MovableClock
) -> Iterator[EksClusters]:
    with closing(EksClusters(*aws_clients, clock)) as clusters:
        yield clusters


@pytest.fixture(params=["fake", "kubernetes"])
def estate(request: pytest.FixtureRequest) -> FakeCluster | KubernetesApi:
    """Where nodes and pods are put, with two nodes."""
    estate: FakeCluster | KubernetesApi = (
        FakeCluster() if request.param == "fake" else request.getfixturevalue("api")
    )
    for number in range(2):
        estate.add_node(f"node-{number}", instance_id(number))
    return estate


@pytest.fixture
def cluster(estate: FakeCluster | KubernetesApi, request: pytest.FixtureRequest) -> Cluster:
    """The same, as the program sees it."""
    if isinstance(estate, FakeCluster):
        return estate
    clusters: EksClusters = request.getfixturevalue("clusters")
    return clusters.cluster(NAME)


class TestOfEveryCluster:
    def test_nodes_are_found_by_their_instances(self, cluster: Cluster) -> None:
        wanted = [instance_id(1), instance_id(7)]
        assert cluster.nodes(wanted) == {instance_id(1): "node-1"}
        assert cluster.nodes([]) == {}

    def test_cordoned_is_cordoned_however_often(
        self, cluster: Cluster, estate: FakeCluster | KubernetesApi
    ) -> None:
        for _ in range(2):
            cluster.cordon("node-0")
        assert (estate.is_cordoned("node-0"), estate.is_cordoned("node-1")) == (True, False)

    def test_a_node_that_is_gone_can_not_be_cordoned(self, cluster: Cluster) -> None:
        with pytest.raises(NotFoundError):
            cluster.cordon("node-9")

    @pytest.mark.parametrize(
        "one",
        [
            pod("web"),
            pod("cart", grace=0, controller="StatefulSet"),
            pod("alone", controller=""),
            pod("logs", controller="DaemonSet"),
            pod("static", controller="Node", mirror=True),
            pod("done", controller="Job", finished=True),
            pod("going", terminating=True),
        ],
        ids=lambda p: p.name,
    )
    def test_a_pod_is_seen_as_it_is_on_its_own_node(
        self, cluster: Cluster, estate: FakeCluster | KubernetesApi, one: Pod
    ) -> None:
        estate.add_pod("node-0", one)
        assert cluster.pods("node-0") == [one]
        assert cluster.pods("node-1") == []

    @pytest.mark.parametrize("how", ["evict", "delete"])
    def test_what_is_evicted_or_deleted_terminates(
        self, cluster: Cluster, estate: FakeCluster | KubernetesApi, how: str
    ) -> None:
        estate.add_pod("node-0", pod("web"))
        estate.add_pod("node-0", pod("api"))
        getattr(cluster, how)(pod("web"), 7)
        assert {p.name: p.terminating for p in cluster.pods("node-0")} == {"web": True, "api": False}

    @pytest.mark.parametrize("how", ["evict", "delete"])
    def test_what_is_gone_is_not_found(
        self, cluster: Cluster, estate: FakeCluster | KubernetesApi, how: str
    ) -> None:
        estate.add_pod("node-0", pod("web"))
        estate.vanish(pod("web"))
        with pytest.raises(NotFoundError):
            getattr(cluster, how)(pod("web"), 7)

    def test_a_successor_of_the_same_name_is_not_evicted(
        self, cluster: Cluster, estate: FakeCluster | KubernetesApi
    ) -> None:
        successor = pod("web", uid="another")
        estate.add_pod("node-1", successor)
        with pytest.raises(ConflictError):
            cluster.evict(pod("web"), 7)
        assert cluster.pods("node-1") == [successor]

    def test_a_budget_refuses_an_eviction_and_no_deletion(
        self, cluster: Cluster, estate: FakeCluster | KubernetesApi
    ) -> None:
        estate.add_pod("node-0", pod("web"))
        estate.protect(pod("web"))
        with pytest.raises(DisruptionBudgetError):
            cluster.evict(pod("web"), 7)
        assert cluster.pods("node-0") == [pod("web")]
        cluster.delete(pod("web"), 7)
        assert cluster.pods("node-0")[0].terminating

    def test_a_node_is_drained(self, cluster: Cluster, estate: FakeCluster | KubernetesApi) -> None:
        clock = MovableClock()
        for one in (pod("web"), pod("slow", grace=300), pod("logs", controller="DaemonSet")):
            estate.add_pod("node-0", one)

        class Only:
            def cluster(self, name: str) -> Cluster:
                return cluster

        drains = DrainNodes(Only(), clock, clock.sleep)
        assert drains.perform(action("nodes", target=NAME)) == Result(status="succeeded")
        terminating = {p.name: p.terminating for p in cluster.pods("node-0")}
        assert terminating == {"web": True, "slow": True, "logs": False}


def access(call: Call) -> tuple[str, str]:
    """Verb and resource, as RBAC names them: Kubernetes documentation, "Determine the request verb"."""
    path = re.fullmatch(r"/api/v1/(?:namespaces/[^/]+/)?(\w+)(/[^/]+)?(/\w+)?", call.path)
    assert path
    resource, name, subresource = path.groups(default="")
    verbs = {"GET": "get" if name else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
    return verbs[call.method], resource + subresource


class TestCalls:
    """What goes over the wire."""

    def test_each_call_is_the_one_that_kubernetes_documents(
        self, api: KubernetesApi, clusters: EksClusters
    ) -> None:
        api.add_node("node-0", instance_id(0))
        one, other = pod("web"), pod("api")
        api.add_pod("node-0", one)
        api.add_pod("node-0", other)
        cluster = clusters.cluster(NAME)
        cluster.nodes([instance_id(0)])
        cluster.cordon("node-0")
        cluster.pods("node-0")
        cluster.evict(one, 7)
        cluster.delete(other, 8)
        assert [call[:4] for call in api.calls] == [
            ("GET", "/api/v1/nodes", {"limit": "500"}, None),
            ("PATCH", "/api/v1/nodes/node-0", {}, {"spec": {"unschedulable": True}}),
            ("GET", "/api/v1/pods", {"limit": "500", "fieldSelector": "spec.nodeName=node-0"}, None),
            (
                "POST",
                "/api/v1/namespaces/shop/pods/web/eviction",
                {},
                {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": "web", "namespace": "shop"},
                    "deleteOptions": {
                        "kind": "DeleteOptions",
                        "gracePeriodSeconds": 7,
                        "preconditions": {"uid": "uid-of-web"},
                    },
                },
            ),
            ("DELETE", "/api/v1/namespaces/shop/pods/api", {"gracePeriodSeconds": "8"}, None),
        ]

    def test_the_cluster_role_of_the_example_allows_these_calls_and_no_others(
        self, api: KubernetesApi, clusters: EksClusters
    ) -> None:
        clock = MovableClock()
        api.add_node("node-0", instance_id(0))
        for one in (pod("web"), pod("slow", grace=300)):
            api.add_pod("node-0", one)
        DrainNodes(clusters, clock, clock.sleep).perform(action("nodes", target=NAME))
        role, _ = yaml.safe_load_all((ROOT / "examples/eks/cluster-role.yaml").read_text())
        allowed = {(verb, r) for rule in role["rules"] for verb in rule["verbs"] for r in rule["resources"]}
        assert {access(call) for call in api.calls} == allowed

    def test_long_lists_are_read_page_by_page(self, api: KubernetesApi, clusters: EksClusters) -> None:
        api.page = 2
        expected = {pod(f"web-{number}").name for number in range(5)}
        api.add_node("node-0", instance_id(0))
        for number in range(5):
            api.add_pod("node-0", pod(f"web-{number}"))
        assert {p.name for p in clusters.cluster(NAME).pods("node-0")} == expected
        assert [call.query.get("continue") for call in api.calls] == [None, "2", "4"]
        assert {call.query["fieldSelector"] for call in api.calls} == {"spec.nodeName=node-0"}

    def test_nodes_are_read_no_further_than_needed(self, api: KubernetesApi, clusters: EksClusters) -> None:
        api.page = 2
        for number in range(6):
            api.add_node(f"node-{number}", instance_id(number))
        cluster = clusters.cluster(NAME)
        assert len(cluster.nodes([instance_id(0), instance_id(3)])) == 2
        assert len(api.calls) == 2
        assert len(cluster.nodes([instance_id(0), instance_id(9)])) == 1
        assert len(api.calls) == 2 + 3

    @pytest.mark.parametrize("provider", ["", "eks-hybrid:///us-east-1/cluster/mi-1", None])
    def test_a_node_of_another_provider_is_passed_over(
        self, api: KubernetesApi, clusters: EksClusters, provider: str | None
    ) -> None:
        api.add_node("node-0", instance_id(0))
        api.add_node("other", "replaced")
        spec = api._nodes["other"]["spec"]
        spec["providerID"] = provider
        assert clusters.cluster(NAME).nodes([instance_id(0), "replaced"]) == {instance_id(0): "node-0"}


class TestErrors:
    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Refusal(401, "Unauthorized"), AccessDeniedError),
            (Refusal(403, 'pods "web" is forbidden'), AccessDeniedError),
            (Refusal(404, 'pods "web" not found'), NotFoundError),
            (Refusal(409, "the object has been modified"), ConflictError),
            (Refusal(422, "Pod is invalid"), RefusedError),
            (Refusal(429, "too many requests, please try again later"), ThrottledError),
            (Refusal(429, "Cannot evict pod", "DisruptionBudget"), DisruptionBudgetError),
            (Refusal(403, "pdb disruptions allowed is negative", "DisruptionBudget"), DisruptionBudgetError),
            (Refusal(500, "more than one PodDisruptionBudget"), UnavailableError),
            (Refusal(503, "apiserver is shutting down"), UnavailableError),
            ((429, "text/plain", b"Too many requests, please try again later."), ThrottledError),
            ((502, "text/html", b"<html>"), UnavailableError),
            ((200, "application/json", b"{"), UnavailableError),
            ((0, "", b""), UnavailableError),
        ],
    )
    def test_each_answer_is_one_of_this_programs_errors(
        self,
        api: KubernetesApi,
        clusters: EksClusters,
        fault: Refusal | tuple[int, str, bytes],
        kind: type[SignalboxError],
    ) -> None:
        api.faults.append(fault)
        with pytest.raises(SignalboxError) as raised:
            clusters.cluster(NAME).evict(pod("web"), 7)
        assert type(raised.value) is kind
        assert "evict shop/web" in str(raised.value)
        if isinstance(fault, Refusal):
            assert str(fault) in str(raised.value)

    @pytest.mark.parametrize("step", ["nodes", "pods"])
    def test_a_fault_on_a_later_page_is_translated_too(
        self, api: KubernetesApi, clusters: EksClusters, step: str
    ) -> None:
        api.page = 1
        for number in range(2):
            api.add_node(f"node-{number}", instance_id(number))
            api.add_pod("node-0", pod(f"web-{number}"))
        cluster = clusters.cluster(NAME)
        cluster.cordon("node-0")
        original = api.answer

        def second_page_fails(call: Any, content_type: str) -> tuple[int, Any]:
            if "continue" in call.query:
                raise Refusal(503, "etcd")
            return original(call, content_type)

        api.answer = second_page_fails  # type: ignore[method-assign]  # a fault in the middle of a list
        with pytest.raises(UnavailableError):
            cluster.nodes([instance_id(9)]) if step == "nodes" else cluster.pods("node-0")

    def test_nobody_listening_is_unavailable(
        self, clusters: EksClusters, describe: Callable[..., None]
    ) -> None:
        describe(endpoint="https://127.0.0.1:1")
        with pytest.raises(UnavailableError):
            clusters.cluster(NAME).pods("node-0")


class TestTrust:
    """Who is believed to be the cluster, and how the cluster knows us."""

    def test_a_server_of_another_authority_gets_no_token(
        self, api: KubernetesApi, clusters: EksClusters, describe: Callable[..., None], tmp_path: Path
    ) -> None:
        describe(authority=make_certificates(tmp_path).authority)
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            clusters.cluster(NAME).pods("node-0")
        assert api.calls == []

    def test_a_server_of_another_name_gets_no_token(
        self, api: KubernetesApi, clusters: EksClusters, describe: Callable[..., None]
    ) -> None:
        describe(endpoint=api.url.replace("127.0.0.1", "localhost"))
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            clusters.cluster(NAME).pods("node-0")
        assert api.calls == []

    def test_a_token_is_good_for_its_own_cluster_only(
        self, api: KubernetesApi, clusters: EksClusters
    ) -> None:
        api.cluster = "another"
        with pytest.raises(AccessDeniedError):
            clusters.cluster(NAME).pods("node-0")

    def test_a_token_is_used_while_it_lasts_and_then_signed_anew(
        self, clusters: EksClusters, aws_clients: tuple[Any, Any], clock: MovableClock
    ) -> None:
        sts = aws_clients[1]
        cluster = clusters.cluster(NAME)
        with mock.patch.object(sts, "generate_presigned_url", wraps=sts.generate_presigned_url) as signed:
            counts = []
            for seconds in (0, 40, 4, 2, 40):
                clock.sleep(seconds)
                cluster.pods("node-0")
                counts.append(signed.call_count)
        assert counts == [1, 1, 1, 2, 2]

    @pytest.mark.parametrize("name", ["shop", "shop-1", "shop-12"])
    def test_a_token_is_whole_whatever_its_length(self, aws_clients: tuple[Any, Any], name: str) -> None:
        sts = aws_clients[1]
        sign_cluster_names(sts)
        sts_url = "https://sts.us-east-1.amazonaws.com/?a" + name
        with mock.patch.object(sts, "generate_presigned_url", return_value=sts_url):
            token = BearerToken(sts, name, MovableClock())()
        encoded = token.removeprefix("k8s-aws-v1.")
        assert "=" not in encoded
        assert base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode() == sts_url

    def test_another_question_of_the_same_client_carries_no_cluster(self) -> None:
        sts = aws("sts")
        for _ in range(2):
            sign_cluster_names(sts)
        assert "x-k8s-aws-id" not in sts.generate_presigned_url("get_caller_identity")


class TestDescribing:
    def test_a_cluster_that_eks_does_not_know_is_not_found(self, clusters: EksClusters) -> None:
        with pytest.raises(NotFoundError):
            clusters.cluster("nowhere")

    def test_a_cluster_without_an_endpoint_is_not_there_yet(
        self, clusters: EksClusters, describe: Callable[..., None]
    ) -> None:
        describe(endpoint="")
        with pytest.raises(UnavailableError, match="shop-cluster has no endpoint yet"):
            clusters.cluster(NAME)

    def test_an_endpoint_is_believed_for_minutes(
        self, clusters: EksClusters, describe: Callable[..., None], clock: MovableClock
    ) -> None:
        first = clusters.cluster(NAME)
        clock.sleep(299)
        assert clusters.cluster(NAME) is first
        clock.sleep(2)
        assert clusters.cluster(NAME) is not first
