"""EventBridge is turned on and off for buckets of somebody else's, and nothing else of theirs is touched."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.notifications import (
    MEMBER,
    SETTLING_SECONDS,
    Configuration,
    Report,
    Switch,
    difference,
    is_on,
    turned_off,
    turned_on,
)
from signalbox.errors import RefusedError, UnavailableError
from signalbox.ledger.memory import MemoryLedger
from tests.unit.operations.doubles import FakeBuckets, filtered, queue_entry

NOON = 1_780_000_000.0
THEIRS: Configuration = {
    "QueueConfigurations": [queue_entry("a", **filtered("in/", ".pdf")), queue_entry("b")],
    "TopicConfigurations": [
        {"Id": "c", "TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Events": ["s3:*"]}
    ],
    "LambdaFunctionConfigurations": [
        {
            "Id": "d",
            "LambdaFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "Events": ["s3:*"],
        }
    ],
    "SomethingNewConfigurations": [{"Id": "e", "Something": {"New": ["x"]}}],
}


@dataclass
class Scene:
    """Buckets `theirs` and `on`, and a switch."""

    buckets: FakeBuckets = field(
        default_factory=lambda: FakeBuckets(
            {"theirs": deepcopy(THEIRS), "on": {**THEIRS, MEMBER: {}}, "bare": {}}
        )
    )
    store: MemoryLedger = field(default_factory=MemoryLedger)
    slept: list[float] = field(default_factory=list)

    @property
    def switch(self) -> Switch:
        return Switch(self.buckets, self.store, lambda: NOON, self.slept.append)

    def enable(self, bucket: str = "theirs", *, execute: bool = True) -> Report:
        return self.switch.enable(bucket, execute=execute)

    def disable(self, bucket: str = "theirs", *, execute: bool = True, force: bool = False) -> Report:
        return self.switch.disable(bucket, execute=execute, force=force)

    def of(self, bucket: str = "theirs") -> Configuration:
        return self.buckets.configurations[bucket]

    def others_write(self, *steps: Callable[[Configuration], Configuration]) -> None:
        """After each of our writes, in order, somebody else makes this of the configuration."""

        def step(change: Callable[[Configuration], Configuration]) -> Callable[[], None]:
            return lambda: self.buckets.configurations.update(theirs=change(self.of()))

        self.buckets.after_write = [step(each) for each in steps]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_looking_changes_nothing_and_shows_the_difference(scene: Scene) -> None:
    report = scene.enable(execute=False)
    assert (report.state, report.good) == ("to be turned on", True)
    assert report.changes == ["+ EventBridgeConfiguration {}"]
    assert report.others == "2 queue, 1 topic, 1 function"
    assert scene.buckets.writes == []
    assert scene.disable("on", execute=False, force=True).state == "to be turned off"
    assert scene.buckets.writes == []
    assert scene.store.records(["notifications#theirs", "notifications#on"]) == {}


def test_turned_on_everything_else_is_as_it_was(scene: Scene) -> None:
    report = scene.enable()
    assert (report.state, report.good, report.remarks) == ("turned on", True, [])
    assert scene.of() == {**THEIRS, MEMBER: {}}
    assert scene.buckets.writes == [("theirs", {**THEIRS, MEMBER: {}})]


def test_what_is_on_is_not_written_again(scene: Scene) -> None:
    assert scene.enable().state == "turned on"
    again = scene.enable()
    assert (again.state, again.remarks) == ("on", ["by this command, 2026-05-28T20:26:40Z"])
    assert len(scene.buckets.writes) == 1
    assert scene.enable("on").remarks == ["not by this command"]


def test_turned_off_is_what_it_was_before(scene: Scene) -> None:
    scene.enable()
    report = scene.disable()
    assert (report.state, report.good, report.changes) == (
        "turned off",
        True,
        ["- EventBridgeConfiguration {}"],
    )
    assert scene.of() == THEIRS
    assert scene.disable().state == "off"
    assert len(scene.buckets.writes) == 2


def test_what_was_on_before_is_left_on_unless_that_is_said(scene: Scene) -> None:
    report = scene.disable("on")
    assert (report.state, report.good) == ("left on", False)
    assert "--force" in report.remarks[-1]
    assert is_on(scene.of("on"))
    assert scene.disable("on", force=True).state == "turned off"
    assert scene.of("on") == THEIRS


def test_on_again_after_off_by_somebody_else_is_not_ours(scene: Scene) -> None:
    scene.enable()
    scene.disable()
    scene.buckets.configurations["theirs"] = turned_on(THEIRS)
    assert scene.disable().state == "left on"


def test_off_by_somebody_else_is_forgotten(scene: Scene) -> None:
    scene.enable()
    scene.buckets.configurations["theirs"] = deepcopy(THEIRS)
    assert scene.disable().state == "off"
    scene.buckets.configurations["theirs"] = turned_on(THEIRS)
    assert scene.disable().state == "left on"


def test_what_others_added_since_stays_when_it_is_turned_off(scene: Scene) -> None:
    scene.enable()
    scene.of()["QueueConfigurations"].append(queue_entry("new"))
    scene.disable()
    assert scene.of()["QueueConfigurations"] == [*THEIRS["QueueConfigurations"], queue_entry("new")]
    assert not is_on(scene.of())


def test_what_was_before_is_kept(scene: Scene) -> None:
    scene.enable()
    [record] = scene.store.records(["notifications#theirs"]).values()
    assert record.body == {"active": True, "at": "2026-05-28T20:26:40Z", "before": THEIRS}


def test_somebody_who_writes_over_it_is_told_of_and_it_is_done_again(scene: Scene) -> None:
    late = {"QueueConfigurations": [queue_entry("late")]}
    scene.others_write(lambda _: late)
    report = scene.enable()
    assert (report.state, report.good) == ("turned on", True)
    assert report.remarks == ["somebody else wrote over it: done again"]
    assert scene.of() == {**late, MEMBER: {}}
    assert scene.slept == [SETTLING_SECONDS]


def test_somebody_who_goes_on_writing_wins_and_that_is_said(scene: Scene) -> None:
    scene.others_write(*[lambda _: deepcopy(THEIRS)] * 2)
    report = scene.enable()
    assert (report.state, report.good) == ("failed", False)
    assert "does not stay" in report.remarks[-1]
    assert len(scene.buckets.writes) == 2
    assert scene.of() == THEIRS


def test_a_read_that_lags_is_given_a_moment(scene: Scene) -> None:
    stale = [deepcopy(THEIRS)]
    real = scene.buckets.read

    def read(bucket: str) -> Configuration:
        return stale.pop() if scene.buckets.writes and stale else real(bucket)

    scene.buckets.read = read  # type: ignore[method-assign] # this once
    assert scene.enable().state == "turned on"
    assert (len(scene.buckets.writes), scene.slept) == (1, [SETTLING_SECONDS])


@pytest.mark.parametrize(
    ("change", "said", "good"),
    [
        (
            lambda now: {**now, "QueueConfigurations": [queue_entry("x")]},
            '- QueueConfigurations {"Events"',
            False,
        ),
        (
            lambda now: {**now, "QueueConfigurations": [*now["QueueConfigurations"], queue_entry("x")]},
            '+ QueueConfigurations {"Events"',
            True,
        ),
    ],
)
def test_what_has_changed_besides_is_told(
    scene: Scene, change: Callable[[Configuration], Configuration], said: str, *, good: bool
) -> None:
    scene.others_write(change)
    report = scene.enable()
    assert (report.state, report.good) == ("turned on", good)
    [remark] = report.remarks
    assert said in remark
    assert MEMBER not in remark


def test_one_bucket_that_is_closed_says_why(scene: Scene) -> None:
    scene.buckets.denied = {"on"}
    report = scene.enable("on")
    assert (report.state, report.good) == ("failed", False)
    assert report.remarks == ["access-denied: GetBucketNotificationConfiguration: AccessDenied: no"]
    assert scene.enable("nobody").remarks[0].startswith("not-found: ")


def test_a_refused_write_is_nothing_to_undo(scene: Scene) -> None:
    scene.buckets.read_only = {"theirs"}
    assert scene.enable().state == "failed"
    scene.buckets.read_only = set()
    scene.buckets.configurations["theirs"] = turned_on(THEIRS)
    assert scene.disable().state == "left on"


def test_a_write_whose_answer_got_lost_can_be_undone(scene: Scene) -> None:
    scene.buckets.failure = UnavailableError("PutBucketNotificationConfiguration: no answer")
    assert scene.enable().state == "failed"
    scene.buckets.failure = None
    scene.buckets.configurations["theirs"] = turned_on(THEIRS)
    assert scene.disable().state == "turned off"


def test_a_ledger_that_refuses_keeps_the_bucket_as_it_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> set[str]:
        raise RefusedError("PutItem: AccessDenied: no")

    monkeypatch.setattr(scene.store, "put_records", refuse)
    assert scene.enable().state == "failed"
    assert scene.buckets.writes == []
    monkeypatch.setattr(scene.store, "put_records", lambda _: {"notifications#theirs"})
    assert scene.enable().remarks == ["conflict: somebody else is at this bucket just now. Run it again."]
    assert scene.buckets.writes == []


@pytest.mark.parametrize(
    "other",
    [
        {"QueueConfigurations": list(reversed(THEIRS["QueueConfigurations"]))},
        {
            "QueueConfigurations": [
                queue_entry("b"),
                queue_entry("a", Filter=filtered("in/", ".pdf")["Filter"]),
            ]
        },
        {
            "QueueConfigurations": [
                queue_entry("b"),
                queue_entry(
                    "a",
                    Filter={
                        "Key": {
                            "FilterRules": [
                                {"Name": "suffix", "Value": ".pdf"},
                                {"Name": "prefix", "Value": "in/"},
                            ]
                        }
                    },
                ),
            ]
        },
        {**THEIRS, "TopicConfigurations": THEIRS["TopicConfigurations"]},
    ],
)
def test_order_and_spelling_make_no_difference(other: dict[str, Any]) -> None:
    assert difference(THEIRS, {**THEIRS, **other}) == []
    assert difference(THEIRS, {**THEIRS, "QueueConfigurations": []})


@pytest.mark.parametrize(
    "changed",
    [
        queue_entry("a", **filtered("in/", ".PDF")),
        queue_entry("a", **filtered("in", ".pdf")),
        queue_entry("a", Events=["s3:ObjectCreated:*"], **filtered("in/", ".pdf")),
        queue_entry("a"),
    ],
)
def test_what_notifies_otherwise_is_a_difference(changed: dict[str, Any]) -> None:
    found = difference(THEIRS, {**THEIRS, "QueueConfigurations": [changed, queue_entry("b")]})
    assert [line[0] for line in found] == ["-", "+"]


entries = st.dictionaries(
    st.text("abc", min_size=1, max_size=2), st.lists(st.text("xy", max_size=2), max_size=2)
)
configurations = st.dictionaries(
    st.sampled_from(["QueueConfigurations", "TopicConfigurations", "NewConfigurations"]),
    st.lists(entries, max_size=3),
)


@given(configurations)
def test_on_and_off_again_is_what_it_was(configuration: Configuration) -> None:
    scene = Scene(FakeBuckets({"theirs": deepcopy(configuration)}))
    assert scene.enable().state == "turned on"
    assert turned_off(scene.of()) == configuration
    assert scene.disable().state == "turned off"
    assert scene.of() == configuration
    assert difference(configuration, turned_on(configuration)) == ["+ EventBridgeConfiguration {}"]
