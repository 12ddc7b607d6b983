"""Request limits, counts, the other doors, and the process itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.limits import LIMITS
from local.codeartifact.service import CodeArtifact
from local.processes import LocalProcess
from local.settings import HOST, free_port

TEAM = {"domain": "acme", "repository": "team"}
UI = {"format": "npm", "package": "ui"}
COPY = {"domain": "acme", "sourceRepository": "team", "destinationRepository": "shared"} | UI


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def codeartifact(clock: Clock) -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact(CodeArtifact(clock=clock)) as running:
        running.seed(UI | {"version": "1"})
        running.seed(repository="shared")
        yield running


def passed(call: Any, times: int, **parameters: Any) -> int:
    """How many of so many calls aren't throttled."""
    return sum(passes(call, **parameters) for _ in range(times))


def passes(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ThrottlingException":
            raise
        return False
    return True


def test_a_copy_passes_five_times_a_second(codeartifact: EmbeddedCodeArtifact, clock: Clock) -> None:
    copy = codeartifact.client().copy_package_versions
    assert passed(copy, 8, **COPY, versions=["1"]) == 5
    clock.now += 0.4
    assert passed(copy, 8, **COPY, versions=["1"]) == 2
    clock.now += 60
    assert passed(copy, 8, **COPY, versions=["1"]) == 5
    counted = codeartifact.ask("GET", "calls").json()
    assert counted["calls"]["codeartifact:CopyPackageVersions"] == 24
    assert counted["throttled"] == {"codeartifact:CopyPackageVersions": 12}


def test_who_is_throttled_is_told_when_to_come_again(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.ask("POST", "limits", {"ListPackages": 1})
    client = codeartifact.client()
    client.list_packages(**TEAM)
    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.list_packages(**TEAM)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert response["retryAfterSeconds"] == 1


def test_accounts_and_regions_have_buckets_of_their_own(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.ask("POST", "limits", {"ListPackages": 1, "Read": 2})
    client, elsewhere = codeartifact.client(), codeartifact.client(region="eu-west-1")
    assert passed(client.list_packages, 2, **TEAM) == 1
    assert passed(client.list_domains, 2) == 1
    assert passed(elsewhere.list_domains, 3) == 2
    assert passed(codeartifact.client("444455556666").list_domains, 3) == 2


def test_limits_are_switched_off_changed_and_restored(codeartifact: EmbeddedCodeArtifact) -> None:
    assert codeartifact.ask("GET", "limits").json() == {"enabled": True, **LIMITS}
    codeartifact.ask("POST", "limits", {"enabled": False})
    assert passed(codeartifact.client().copy_package_versions, 8, **COPY, versions=["1"]) == 8
    codeartifact.ask("POST", "reset")
    assert codeartifact.ask("GET", "limits").json()["enabled"]
    for wrong in ({"enabled": 1}, {"ListPackages": 0}, {"ListPackages": "many"}, {"ListPackages": True}):
        assert codeartifact.ask("POST", "limits", wrong).status_code == 400


def test_calls_are_counted_by_operation_once_each(codeartifact: EmbeddedCodeArtifact) -> None:
    client = codeartifact.client()
    client.list_packages(**TEAM)
    client.list_packages(**TEAM)
    with pytest.raises(ClientError):
        client.describe_domain(domain="gone")
    counted = codeartifact.ask("GET", "calls").json()
    assert counted["calls"] == {"codeartifact:DescribeDomain": 1, "codeartifact:ListPackages": 2}
    assert counted["total"] == 3


def test_a_reset_leaves_nothing(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.ask("POST", "delivery", {"delay_seconds": 9})
    codeartifact.seed(UI | {"version": "2"})
    codeartifact.ask("POST", "reset")
    assert codeartifact.client().list_domains()["domains"] == []
    assert codeartifact.ask("GET", "events").json() == {"events": [], "failures": [], "held": 0}
    assert codeartifact.ask("GET", "delivery").json()["delay_seconds"] == 0
    assert codeartifact.ask("GET", "calls").json()["total"] == 1


def test_a_door_that_is_not_there_says_where_they_are(codeartifact: EmbeddedCodeArtifact) -> None:
    for method, door in (("GET", "seed"), ("POST", "health"), ("DELETE", "calls")):
        answer = codeartifact.ask(method, door)
        assert answer.status_code == 404
        assert "README" in answer.json()["error"]


@pytest.mark.parametrize("body", ["{", "[]"])
def test_a_door_takes_json_objects(codeartifact: EmbeddedCodeArtifact, body: str) -> None:
    url = f"{codeartifact.url}/_codeartifact/limits"
    assert requests.post(url, data=body, timeout=10).status_code == 400


def test_the_process_starts_serves_and_ends(tmp_path: Path) -> None:
    port = free_port()
    process = LocalProcess.start(
        "local.codeartifact",
        ["--port", str(port)],
        state=tmp_path,
        environment={"PATH": os.environ["PATH"]},
        tethered=True,
    )
    url = f"http://{HOST}:{port}/_codeartifact"

    def healthy() -> bool:
        try:
            health = requests.get(f"{url}/health", timeout=5).json()
        except requests.ConnectionError:
            return False
        return bool(health == {"status": "ok", "roles": False})

    try:
        process.wait_until(healthy, 60)
        late = {"delay_seconds": 0.01}
        assert requests.post(f"{url}/delivery", json=late, timeout=5).json()["delay_seconds"] == 0.01
        requests.post(f"{url}/seed", json=TEAM | {"packages": [UI | {"version": "1"}]}, timeout=5)
        process.wait_until(lambda: len(requests.get(f"{url}/events", timeout=5).json()["events"]) == 1, 30)
    finally:
        process.stop()
    assert "stopped" in process.log_tail()
