"""CodeArtifact in this very process, for tests: `with embedded_codeartifact() as codeartifact: …`."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import requests
from botocore.config import Config

from local.codeartifact.service import CodeArtifact
from local.serving import loopback_server
from local.settings import ACCESS_KEY, HOST, REGION, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

# One attempt, so that a test sees each refusal and each call is counted once.
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
SECONDS = 10.0


@dataclass
class EmbeddedCodeArtifact:
    """Its address, the application behind it, and clients that are closed with it."""

    url: str
    application: CodeArtifact
    resources: ExitStack

    def client(self, access_key: str = ACCESS_KEY, region: str = REGION, config: Config = ONE_ATTEMPT) -> Any:
        """boto3's. An account number is that account's root; parameters go out unchecked."""
        client = boto3.client(
            "codeartifact",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=SECRET_KEY,
            config=config,
        )
        self.resources.callback(client.close)
        return client

    def ask(self, method: str, door: str, document: object = None) -> requests.Response:
        """One of the doors under /_codeartifact."""
        return requests.request(method, f"{self.url}/_codeartifact/{door}", json=document, timeout=SECONDS)

    def seed(self, *packages: dict[str, Any], repository: str = "team", **where: str) -> list[dict[str, str]]:
        """Publishes these in domain "acme", unless `where` names another. Raises HTTPError for bad ones."""
        document = {"domain": "acme", "repository": repository, **where, "packages": list(packages)}
        answer = self.ask("POST", "seed", document)
        answer.raise_for_status()
        published: list[dict[str, str]] = answer.json()["published"]
        return published

    def events(self) -> list[dict[str, Any]]:
        """Those delivered so far, in that order."""
        events: list[dict[str, Any]] = self.ask("GET", "events").json()["events"]
        return events


@contextmanager
def embedded_codeartifact(application: CodeArtifact | None = None) -> Iterator[EmbeddedCodeArtifact]:
    """A fresh one on a free port, or `application`."""
    served = application or CodeArtifact()
    with loopback_server(0, served) as server, ExitStack() as resources:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield EmbeddedCodeArtifact(f"http://{HOST}:{server.port}", served, resources)
        finally:
            resources.close()
            server.shutdown()
            thread.join()
