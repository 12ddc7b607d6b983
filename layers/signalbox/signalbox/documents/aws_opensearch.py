"""OpenSearch over HTTP: the adapter of `signalbox.documents.opensearch_index.Cluster`.

It asks for no more than a domain and a serverless collection of type SEARCH both have: create index, bulk,
mget, search ("Supported operations and plugins in Amazon OpenSearch Serverless"). That page does not say
whether a collection takes external versions; one that does not refuses the first write.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth, Urllib3HttpConnection
from opensearchpy.exceptions import ConnectionError as NoConnectionError
from opensearchpy.exceptions import OpenSearchException, SerializationError, TransportError

from signalbox.aws.clients import READ_TIMEOUT_SECONDS, session
from signalbox.documents.opensearch_index import Action, Hit, Item, OpenSearchIndex, error_of
from signalbox.documents.settings import LoadSettings
from signalbox.errors import AccessDeniedError, RefusedError, SignalboxError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

type Service = Literal["es", "aoss"]

EXISTS = "resource_already_exists_exception"


class Cluster:
    """One domain, or one serverless collection.

    Args:
        client: that tries nothing twice: the steps do.
        service: a serverless collection knows no ``refresh``.
    """

    def __init__(self, client: OpenSearch, service: Service) -> None:
        self._client = client
        self._waiting = {"refresh": "wait_for"} if service == "es" else {}

    def create(self, index: str, fields: Mapping[str, Any]) -> None:
        body = {"mappings": {"dynamic": False, "properties": fields}}
        try:
            self._call(self._client.indices.create, index=index, body=body)
        except RefusedError as error:
            if _kind(error.__cause__) != EXISTS:
                raise

    def bulk(self, actions: Sequence[Action], *, found: bool = False) -> list[Item]:
        lines = [line for action in actions for line in _lines(action)]
        answer = self._call(
            self._client.bulk, body=b"".join(lines), params=dict(self._waiting) if found else {}
        )
        items = [_item(result) for each in answer["items"] for result in each.values()]
        if len(items) != len(actions):
            raise UnavailableError(f"OpenSearch: {len(items)} answers to {len(actions)} writes")
        return items

    def get(self, index: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        answer = self._call(self._client.mget, index=index, body={"ids": list(ids)})
        for each in answer["docs"]:
            if "error" in each:
                raise UnavailableError(f"OpenSearch: {index}/{each.get('_id', '')}: {each['error']}")
        return {each["_id"]: each["_source"] for each in answer["docs"] if each["found"]}

    def search(self, index: str, body: Mapping[str, Any]) -> list[Hit]:
        answer = self._call(self._client.search, index=index, body=body)
        if answer["timed_out"] or answer["_shards"]["failed"]:
            raise UnavailableError(f"OpenSearch: not every shard of {index} has answered")
        return [
            Hit(id=each["_id"], score=each.get("_score") or 0.0, source=each.get("_source", {}))
            for each in answer["hits"]["hits"]
        ]

    def _call(self, operation: "Callable[..., Any]", **arguments: Any) -> Any:
        try:
            return operation(**arguments)
        except OpenSearchException as error:
            raise translate(error) from error


def connect(endpoint: str, service: Service, region: str) -> Cluster:
    """With the credentials of the function, or of the shell.

    Args:
        endpoint: as in ``https://search-….eu-west-1.es.amazonaws.com``.
    """
    credentials = session().get_credentials()
    if credentials is None:
        raise AccessDeniedError("There are no AWS credentials to sign requests to OpenSearch with.")
    client = OpenSearch(
        hosts=[endpoint],
        http_auth=Urllib3AWSV4SignerAuth(credentials, region, service),
        connection_class=Urllib3HttpConnection,
        timeout=READ_TIMEOUT_SECONDS,
        max_retries=0,
    )
    return Cluster(client, service)


def open_index(settings: LoadSettings) -> OpenSearchIndex:
    """The index that the settings name."""
    endpoint, service = settings.documents_opensearch_endpoint, settings.documents_opensearch_service
    return OpenSearchIndex(connect(endpoint, service, settings.aws_region))


def translate(error: OpenSearchException) -> SignalboxError:
    """The kind of an error of the client."""
    if isinstance(error, NoConnectionError | SerializationError):
        return UnavailableError(f"OpenSearch: {type(error).__name__}: {error}")
    if not isinstance(error, TransportError) or not isinstance(error.status_code, int):
        return UnavailableError(f"OpenSearch: {error}")
    if error.status_code in {401, 403}:
        return AccessDeniedError(
            f"OpenSearch: {error}. The role needs es:ESHttp* and a place in the domain's own roles, or "
            "aoss:APIAccessAll and the collection's data access policy (docs/documents.md)."
        )
    return error_of(error.status_code, str(error))


def _kind(error: BaseException | None) -> str:
    return str(error.error) if isinstance(error, TransportError) else ""


def _lines(action: Action) -> list[bytes]:
    verb = "delete" if action.source is None else "index"
    target = {
        "_index": action.index,
        "_id": action.id,
        "version": action.generation,
        "version_type": "external_gte",
    }
    lines = [msgspec.json.encode({verb: target}), action.source]
    return [line + b"\n" for line in lines if line is not None]


def _item(result: Mapping[str, Any]) -> Item:
    error = result.get("error", {})
    return Item(status=result["status"], kind=error.get("type", ""), reason=error.get("reason", ""))
