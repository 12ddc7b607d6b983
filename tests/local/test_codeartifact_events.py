"""Events: as AWS shapes them, numbered with gaps, and delivered twice, out of order and late on request."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.codeartifact.delivery import HOLD_SECONDS, Courier, Deliveries, DeliveryError, DeliverySwitches
from local.codeartifact.embedded import EmbeddedCodeArtifact, embedded_codeartifact
from local.codeartifact.events import LARGEST_GAP, EventWriter
from local.codeartifact.model import Asset, Change, Domain, PackageKey, Repository, Status
from local.codeartifact.publishing import Upload, add_assets
from local.codeartifact.registry import Registry
from local.codeartifact.service import CodeArtifact
from local.codeartifact.spine import SpineBus
from local.settings import ACCOUNT, REGION

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADMINISTRATOR = "444455556666"
UI = {"format": "npm", "package": "ui"}
TEAM = {"domain": "acme", "repository": "team"}


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class ListeningBus:
    """Keeps what is put on it; refuses while `broken`."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    broken: bool = False

    def put(self, event: dict[str, Any]) -> None:
        if self.broken:
            raise DeliveryError("out of order")
        self.heard.append(event)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bus() -> ListeningBus:
    return ListeningBus()


@pytest.fixture
def codeartifact(clock: Clock, bus: ListeningBus) -> Iterator[EmbeddedCodeArtifact]:
    with embedded_codeartifact(CodeArtifact(bus=bus, clock=clock, now=lambda: NOW)) as running:
        running.ask("POST", "limits", {"enabled": False})
        yield running


def details(codeartifact: EmbeddedCodeArtifact) -> list[dict[str, Any]]:
    return [event["detail"] for event in codeartifact.events()]


def test_an_event_is_shaped_as_aws_documents_it(
    codeartifact: EmbeddedCodeArtifact, bus: ListeningBus
) -> None:
    [seeded] = codeartifact.seed(UI | {"version": "1.0.0"})
    [event] = codeartifact.events()
    assert bus.heard == [event]
    identifier, deduplication = event.pop("id"), event["detail"].pop("eventDeduplicationId")
    assert identifier
    assert deduplication
    assert event == {
        "version": "0",
        "detail-type": "CodeArtifact Package Version State Change",
        "source": "aws.codeartifact",
        "account": ACCOUNT,
        "time": "2026-01-31T12:00:00Z",
        "region": REGION,
        "resources": [f"arn:aws:codeartifact:{REGION}:{ACCOUNT}:package/acme/team/npm//ui"],
        "detail": {
            "domainName": "acme",
            "domainOwner": ACCOUNT,
            "repositoryName": "team",
            "repositoryAdministrator": ACCOUNT,
            "packageFormat": "npm",
            "packageNamespace": None,
            "packageName": "ui",
            "packageVersion": "1.0.0",
            "packageVersionState": "Published",
            "packageVersionRevision": seeded["revision"],
            "changes": {
                "assetsAdded": 1,
                "assetsRemoved": 0,
                "metadataUpdated": True,
                "assetsUpdated": 0,
                "statusChanged": True,
            },
            "operationType": "Created",
            "sequenceNumber": 1,
        },
    }


def test_a_namespace_is_in_the_event_and_in_the_arn(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed({"format": "maven", "namespace": "com.acme", "package": "lib", "version": "1"})
    [event] = codeartifact.events()
    assert event["detail"]["packageNamespace"] == "com.acme"
    assert event["resources"][0].endswith("/maven/com.acme/lib")


def test_each_kind_of_change_says_what_changed(codeartifact: EmbeddedCodeArtifact) -> None:
    client = codeartifact.client()
    codeartifact.seed(UI | {"version": "1", "assets": [{"name": "a"}]})
    codeartifact.seed(UI | {"version": "1", "assets": [{"name": "b"}], "summary": "more"})
    named = TEAM | UI | {"versions": ["1"]}
    client.update_package_versions_status(**named, targetStatus="Unlisted")
    client.update_package_versions_status(**named, targetStatus="Unlisted")
    client.dispose_package_versions(**named)
    client.delete_package_versions(**named)
    names = ("assetsAdded", "assetsRemoved", "metadataUpdated", "statusChanged")
    told = [
        (one["operationType"], one["packageVersionState"], *(one["changes"][name] for name in names))
        for one in details(codeartifact)
    ]
    assert told == [
        ("Created", "Published", 1, 0, True, True),
        ("Updated", "Published", 1, 0, True, False),
        ("Updated", "Unlisted", 0, 0, False, True),
        ("Updated", "Disposed", 0, 2, False, True),
        ("Deleted", "Disposed", 0, 0, False, True),
    ]


def test_the_owner_and_the_administrator_hear_of_it_once_each(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed(UI | {"version": "1"}, administrator=ADMINISTRATOR)
    events = codeartifact.events()
    assert [one["account"] for one in events] == [ACCOUNT, ADMINISTRATOR]
    assert events[0]["detail"] == events[1]["detail"]
    assert events[0]["detail"]["repositoryAdministrator"] == ADMINISTRATOR
    assert events[0]["id"] != events[1]["id"]


def test_what_is_refused_tells_nothing(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.seed(UI | {"version": "1"})
    client = codeartifact.client()
    client.delete_package_versions(**TEAM, **UI, versions=["1", "2"])
    assert len(codeartifact.events()) == 1


def test_a_package_that_comes_back_goes_on_counting(codeartifact: EmbeddedCodeArtifact) -> None:
    for _ in range(3):
        codeartifact.seed(UI | {"version": "1"})
        codeartifact.client().delete_package(**TEAM, **UI)
    numbers = [one["sequenceNumber"] for one in details(codeartifact)]
    assert numbers == sorted(set(numbers))
    assert len({one["eventDeduplicationId"] for one in details(codeartifact)}) == len(numbers)


packages = st.sampled_from(
    [PackageKey("npm", "", "ui"), PackageKey("npm", "", "core"), PackageKey("pypi", "", "x")]
)


@given(st.lists(packages, max_size=40), st.integers(), st.booleans())
def test_numbers_rise_for_each_package_with_gaps_and_the_same_for_a_seed(
    keys: list[PackageKey],
    seed: int,
    gaps: bool,  # noqa: FBT001 - drawn
) -> None:
    def numbers() -> list[int]:
        writer = EventWriter(seed=seed, gaps=gaps)
        return [writer.write(change, NOW)[0]["detail"]["sequenceNumber"] for change in changes(keys)]

    found = numbers()
    assert numbers() == found
    for key in set(keys):
        own = [number for number, owner in zip(found, keys, strict=True) if owner == key]
        steps = [later - earlier for earlier, later in zip([0, *own], own, strict=False)]
        assert steps[0] == 1
        assert all(1 <= step <= (1 + LARGEST_GAP if gaps else 1) for step in steps)


def test_there_are_gaps() -> None:
    writer = EventWriter()
    keys = [PackageKey("npm", "", "ui")] * 40
    numbers = [writer.write(change, NOW)[0]["detail"]["sequenceNumber"] for change in changes(keys)]
    assert numbers[-1] > len(numbers)


def changes(keys: list[PackageKey]) -> list[Change]:
    domain = Domain(REGION, ACCOUNT, "acme", NOW, "key")
    repository, registry = Repository(domain, "team", ACCOUNT, NOW), Registry()
    for number, key in enumerate(keys):
        upload = Upload(f"{number}", (Asset.of("a", b"a"),), Status.PUBLISHED)
        add_assets(registry, repository, key, upload, NOW)
    return registry.take_changes()


switches = st.builds(
    DeliverySwitches,
    duplicated=st.sampled_from([0.0, 0.3, 1.0]),
    reordered=st.integers(1, 6),
    delay_seconds=st.sampled_from([0.0, 2.0]),
    seed=st.integers(0, 9),
)


@given(switches, st.lists(st.floats(0, 3, allow_nan=False), max_size=20))
def test_whatever_the_switches_every_event_arrives_and_the_same_way_each_time(
    chosen: DeliverySwitches, pauses: list[float]
) -> None:
    def course() -> list[int]:
        deliveries, now, arrived = Deliveries(chosen), 0.0, list[int]()
        for number, pause in enumerate(pauses):
            deliveries.offer([{"number": number}], now)
            arrived += [event["number"] for event in deliveries.due(now)]
            now += pause
        arrived += [event["number"] for event in deliveries.due(now, everything=True)]
        assert deliveries.held == 0
        return arrived

    arrived = course()
    assert course() == arrived
    assert set(arrived) == set(range(len(pauses)))
    assert max(Counter(arrived).values(), default=0) <= (1 if chosen.duplicated == 0 else 2)
    if chosen.duplicated == 1:
        assert len(arrived) == 2 * len(pauses)
    if chosen.reordered == 1:
        assert arrived == sorted(arrived)


def test_duplicates_are_the_same_event(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.ask("POST", "delivery", {"duplicated": 1.0})
    codeartifact.seed(UI | {"version": "1"})
    first, second = codeartifact.events()
    assert first == second


def test_events_change_places_and_none_waits_for_ever(
    codeartifact: EmbeddedCodeArtifact, clock: Clock
) -> None:
    codeartifact.ask("POST", "delivery", {"reordered": 5, "seed": 1})
    codeartifact.seed(*(UI | {"version": f"{number}"} for number in range(7)))
    first = [one["sequenceNumber"] for one in details(codeartifact)]
    assert len(first) == 5
    assert first != sorted(first)
    assert codeartifact.ask("GET", "events").json()["held"] == 2
    clock.now += HOLD_SECONDS
    assert len(details(codeartifact)) == 7


def test_late_events_are_late_and_can_be_let_go(
    codeartifact: EmbeddedCodeArtifact, clock: Clock, bus: ListeningBus
) -> None:
    codeartifact.ask("POST", "delivery", {"delay_seconds": 30})
    codeartifact.seed(UI | {"version": "1"})
    clock.now += 29
    assert codeartifact.events() == []
    clock.now += 1
    assert len(codeartifact.events()) == len(bus.heard) == 1
    codeartifact.seed(UI | {"version": "2"})
    assert codeartifact.ask("POST", "deliver").json() == {"delivered": 1}
    assert len(bus.heard) == 2


def test_new_switches_hold_nothing_back_and_numbers_go_on(codeartifact: EmbeddedCodeArtifact) -> None:
    codeartifact.ask("POST", "delivery", {"delay_seconds": 30, "gaps": False})
    codeartifact.seed(UI | {"version": "1"}, UI | {"version": "2"})
    answer = codeartifact.ask("POST", "delivery", {"gaps": False}).json()
    assert answer == DeliverySwitches(gaps=False).document()
    codeartifact.seed(UI | {"version": "3"})
    assert [one["sequenceNumber"] for one in details(codeartifact)] == [1, 2, 3]


@pytest.mark.parametrize(
    "document",
    [
        {"late": 1},
        {"duplicated": 2},
        {"duplicated": "all"},
        {"reordered": 0},
        {"reordered": 1.5},
        {"delay_seconds": -1},
        {"gaps": 1},
        {"seed": "x"},
    ],
)
def test_a_switch_that_makes_no_sense_is_refused(
    codeartifact: EmbeddedCodeArtifact, document: dict[str, Any]
) -> None:
    answer = codeartifact.ask("POST", "delivery", document)
    assert answer.status_code == 400
    assert codeartifact.ask("GET", "delivery").json() == DeliverySwitches().document()


def test_a_bus_that_takes_nothing_is_told_of_and_stops_nobody(
    codeartifact: EmbeddedCodeArtifact, bus: ListeningBus
) -> None:
    bus.broken = True
    codeartifact.seed(UI | {"version": "1"})
    told = codeartifact.ask("GET", "events").json()
    assert len(told["events"]) == 1
    assert "out of order" in told["failures"][0]


class Spine(BaseHTTPRequestHandler):
    """Takes events as the spine's door does; refuses those for region "nowhere"."""

    taken: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).taken.append((self.path, body))
        self.send_response(404 if "nowhere" in self.path else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
        """Nothing."""


@contextmanager
def spine() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    taken: list[tuple[str, Any]] = []
    with HTTPServer(("127.0.0.1", 0), type("TakingSpine", (Spine,), {"taken": taken})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()


def test_events_go_through_the_spine_s_door_to_their_account_and_region() -> None:
    event = {"id": "1", "account": ADMINISTRATOR, "region": "eu-west-1", "source": "aws.codeartifact"}
    with spine() as (url, taken):
        bus = SpineBus(url)
        courier = Courier(bus, clock=lambda: 0.0)
        courier.take([event, event | {"id": "2", "region": "nowhere"}])
        courier.deliver()
        bus.close()
    path = f"/_signalbox/events?account={ADMINISTRATOR}&region="
    assert taken == [
        (f"{path}eu-west-1", event),
        (f"{path}nowhere", event | {"id": "2", "region": "nowhere"}),
    ]
    assert ["2: the spine answered 404" in one for one in courier.document()["failures"]] == [True]


def test_a_spine_that_is_gone_is_told_of() -> None:
    with spine() as (url, _):
        pass
    bus = SpineBus(url)
    with pytest.raises(DeliveryError, match="can't be reached"):
        bus.put({"id": "1", "account": ACCOUNT, "region": REGION})
    bus.close()
