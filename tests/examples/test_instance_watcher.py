"""The in-instance watcher: the metadata service as it behaves, hooks as they misbehave."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import pytest

from tests.examples.metadata_service import (
    INSTANCE_ACTION,
    REBALANCE,
    Clock,
    MetadataService,
    served,
)
from tests.examples.watcher_program import FOLDER, PROGRAM
from tests.examples.watcher_program import watch_interruption as program

NOTICED = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
TAKEN = "2026-01-31T12:02:00Z"
TERMINATE = json.dumps({"action": "terminate", "time": TAKEN})
RECOMMENDED = json.dumps({"noticeTime": "2026-01-31T11:55:00Z"})
PATIENCE = 30.0
"""Seconds after which a test gives up."""
INTERRUPTION_KEY = f"interruption terminate {TAKEN}"


@dataclass
class Lines:
    """The log, in memory."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, level: str, message: str, **fields: object) -> None:
        self.lines.append({"level": level, "message": message, **fields})

    def of(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["message"] == message]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metadata(clock: Clock) -> MetadataService:
    return MetadataService(clock)


@pytest.fixture
def endpoint(metadata: MetadataService) -> Iterator[str]:
    with served(metadata.answer) as endpoint:
        yield endpoint


class TestTokens:
    def test_one_token_serves_many_requests(
        self, endpoint: str, metadata: MetadataService, clock: Clock
    ) -> None:
        service = program.MetadataService(endpoint, clock)
        assert [service.get(INSTANCE_ACTION) for _ in range(3)] == [None, None, None]
        assert metadata.requests == [("PUT", "/latest/api/token"), *[("GET", INSTANCE_ACTION)] * 3]

    def test_it_is_renewed_before_it_expires(
        self, endpoint: str, metadata: MetadataService, clock: Clock
    ) -> None:
        service = program.MetadataService(endpoint, clock, token_seconds=600)
        service.get(INSTANCE_ACTION)
        clock.now += 539
        service.get(INSTANCE_ACTION)
        assert metadata.tokens_given == 1
        clock.now += 1
        service.get(INSTANCE_ACTION)
        assert metadata.tokens_given == 2

    def test_one_that_the_service_forgot_is_replaced_at_once(
        self, endpoint: str, metadata: MetadataService, clock: Clock
    ) -> None:
        service = program.MetadataService(endpoint, clock)
        service.get(INSTANCE_ACTION)
        metadata.forget_tokens()
        metadata.documents[INSTANCE_ACTION] = TERMINATE
        assert service.get(INSTANCE_ACTION) == TERMINATE
        assert [method for method, _ in metadata.requests] == ["PUT", "GET", "GET", "PUT", "GET"]

    def test_one_that_expired_while_our_clock_stood_still_is_replaced(
        self, endpoint: str, metadata: MetadataService, clock: Clock
    ) -> None:
        service = program.MetadataService(endpoint, lambda: 0.0)
        service.get(INSTANCE_ACTION)
        clock.now += 21600  # a hibernated instance: its monotonic clock did not go on
        assert service.get(INSTANCE_ACTION) is None
        assert metadata.tokens_given == 2

    def test_a_second_refusal_is_an_error(
        self, endpoint: str, metadata: MetadataService, clock: Clock
    ) -> None:
        metadata.failing = [0, 401, 0, 401]
        with pytest.raises(program.MetadataError, match="status 401"):
            program.MetadataService(endpoint, clock).get(INSTANCE_ACTION)

    def test_a_service_that_is_turned_off_says_how_to_turn_it_on(
        self, endpoint: str, metadata: MetadataService, clock: Clock
    ) -> None:
        metadata.turned_off = True
        with pytest.raises(program.MetadataError, match=r"403.*--http-endpoint"):
            program.MetadataService(endpoint, clock).get(INSTANCE_ACTION)

    @pytest.mark.parametrize("status", [500, 503, 400])
    def test_any_other_status_is_an_error_and_the_next_try_may_work(
        self, endpoint: str, metadata: MetadataService, clock: Clock, status: int
    ) -> None:
        service = program.MetadataService(endpoint, clock)
        service.get(INSTANCE_ACTION)
        metadata.failing = [status]
        with pytest.raises(program.MetadataError, match=f"status {status}"):
            service.get(INSTANCE_ACTION)
        assert service.get(INSTANCE_ACTION) is None

    def test_a_token_that_can_not_be_sent_back_is_refused(self, clock: Clock) -> None:
        with (
            served(lambda *_: (200, {}, "two\nlines")) as endpoint,
            pytest.raises(program.MetadataError, match="token"),
        ):
            program.MetadataService(endpoint, clock).get(INSTANCE_ACTION)

    def test_nobody_listening_is_an_error_that_names_the_endpoint(self, clock: Clock) -> None:
        with served(lambda *_: (200, {}, "")) as endpoint:
            pass
        with pytest.raises(program.MetadataError, match=endpoint.removeprefix("http://")):
            program.MetadataService(endpoint, clock).get(INSTANCE_ACTION)

    @pytest.mark.parametrize(
        "endpoint", ["https://169.254.169.254", "file:///etc/passwd", "169.254.169.254", "http://h:x", ""]
    )
    def test_an_endpoint_that_is_none_is_refused(self, endpoint: str, clock: Clock) -> None:
        with pytest.raises(program.UnusableError, match="such as http://169"):
            program.MetadataService(endpoint, clock)


class TestAgainstMinistack:
    """ministack has a metadata service of its own: another reading of the same protocol."""

    @pytest.fixture
    def imds(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Clock, str]]:
        from ministack.services import imds  # noqa: PLC0415 # a heavy import, for these tests alone

        clock = Clock()
        monkeypatch.setenv("MINISTACK_IMDS_V2_REQUIRED", "1")
        monkeypatch.setattr(imds.time, "time", clock)

        def answer(
            method: str, path: str, header: Callable[[str], str | None]
        ) -> tuple[int, dict[str, str], str]:
            names = ("X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds")
            headers = {name.lower(): value for name in names if (value := header(name)) is not None}
            status, answered, body = asyncio.run(imds.handle_request(method, path, headers, b"", {}))
            return status, answered, body.decode()

        with served(answer) as endpoint:
            yield imds, clock, endpoint
        imds.reset()

    def test_it_wants_a_token(self, imds: tuple[Any, Clock, str]) -> None:
        module, _, _ = imds
        status, _, _ = asyncio.run(module.handle_request("GET", INSTANCE_ACTION, {}, b"", {}))
        assert status == 401

    def test_nothing_is_announced_then_something_is(
        self, imds: tuple[Any, Clock, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module, clock, endpoint = imds
        service = program.MetadataService(endpoint, clock)
        assert service.get(INSTANCE_ACTION) is None
        # It announces nothing of Spot itself: what it serves is added to.
        monkeypatch.setitem(module._META_FLAT, "spot/instance-action", TERMINATE)
        assert service.get(INSTANCE_ACTION) == TERMINATE

    def test_its_expired_token_is_replaced(self, imds: tuple[Any, Clock, str]) -> None:
        _, clock, endpoint = imds
        service = program.MetadataService(endpoint, lambda: 0.0)
        assert service.get(REBALANCE) is None
        clock.now += 21601
        assert service.get(REBALANCE) is None


class TestAnnouncements:
    def test_an_interruption_has_a_deadline(self) -> None:
        found = program.parse_announcement("interruption", TERMINATE)
        assert (found.action, found.time, found.deadline) == ("terminate", TAKEN, NOTICED + 120)

    def test_a_recommendation_has_none(self) -> None:
        found = program.parse_announcement("rebalance", RECOMMENDED)
        assert (found.action, found.time, found.deadline) == ("rebalance", "2026-01-31T11:55:00Z", None)

    def test_a_word_that_aws_may_invent_is_handed_on(self) -> None:
        text = json.dumps({"action": "relocate", "time": TAKEN})
        assert program.parse_announcement("interruption", text).action == "relocate"

    @pytest.mark.parametrize(
        ("body", "what"),
        [
            ("", "not JSON"),
            ("<html>", "not JSON"),
            ("[]", "not a JSON object"),
            ("{}", "action"),
            ({"action": "a\0b", "time": TAKEN}, "action"),
            ({"action": "$(reboot)", "time": TAKEN}, "action"),
            ({"action": 7, "time": TAKEN}, "action"),
            ({"action": "stop"}, "time"),
            ({"action": "stop", "time": 1_700_000_000}, "time"),
            ({"action": "stop", "time": "2026-01-31T12:02:00"}, "time"),
            ({"action": "stop", "time": "2026-02-31T12:02:00Z"}, "time"),
            ({"action": "stop", "time": "2026-01-31\x0012:02:00Z"}, "time"),
        ],
    )
    def test_what_makes_no_sense_is_named_with_its_place(self, body: str | dict[str, Any], what: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        with pytest.raises(program.MetadataError, match=f"{INSTANCE_ACTION}.*{what}"):
            program.parse_announcement("interruption", text)


@dataclass
class Metadata:
    """The metadata service as the watcher knows it: a function."""

    documents: dict[str, str | None] = field(default_factory=dict)
    failing: bool = False

    def __call__(self, path: str) -> str | None:
        if self.failing:
            raise program.MetadataError("no route to host")
        return self.documents.get(path)


class TestWatching:
    @pytest.fixture
    def answers(self) -> Metadata:
        return Metadata()

    @pytest.fixture
    def announced(self) -> list[Any]:
        return []

    @pytest.fixture
    def watcher(self, answers: Metadata, announced: list[Any], log: Lines) -> Any:
        return program.Watcher(answers, announced.append, 5.0, log, draw=lambda: 1.0)

    def test_each_announcement_is_handed_over_once(
        self, watcher: Any, answers: Metadata, announced: list[Any]
    ) -> None:
        assert watcher.poll()
        assert announced == []
        answers.documents[REBALANCE] = RECOMMENDED
        watcher.poll()
        watcher.poll()
        answers.documents[INSTANCE_ACTION] = TERMINATE
        watcher.poll()
        watcher.poll()
        assert [a.kind for a in announced] == ["rebalance", "interruption"]

    def test_a_new_time_is_a_new_announcement(
        self, watcher: Any, answers: Metadata, announced: list[Any]
    ) -> None:
        for at in ("2026-01-31T12:02:00Z", "2026-02-01T08:00:00Z"):  # stopped, started, stopped again
            answers.documents[INSTANCE_ACTION] = json.dumps({"action": "stop", "time": at})
            watcher.poll()
        assert len(announced) == 2

    def test_a_senseless_interruption_does_not_hide_a_recommendation(
        self, watcher: Any, answers: Metadata, announced: list[Any], log: Lines
    ) -> None:
        answers.documents = {INSTANCE_ACTION: "{}", REBALANCE: RECOMMENDED}
        assert not watcher.poll()
        assert [a.kind for a in announced] == ["rebalance"]
        assert INSTANCE_ACTION in log.of("metadata_failed")[0]["error"]

    def test_the_pause_grows_with_failures_up_to_a_bound_and_is_back_afterwards(
        self, watcher: Any, answers: Metadata
    ) -> None:
        answers.failing = True
        pauses = []
        for _ in range(5):
            watcher.poll()
            pauses.append(watcher.pause())
        assert pauses == [5, 10, 20, 20, 20]
        answers.failing = False
        watcher.poll()
        assert watcher.pause() == 5

    def test_after_days_of_failures_the_pause_is_still_a_number(
        self, watcher: Any, answers: Metadata
    ) -> None:
        answers.failing = True
        for _ in range(5000):
            watcher.poll()
        assert watcher.pause() == 20

    def test_the_pause_after_a_failure_is_drawn_from_its_upper_half(
        self, answers: Metadata, log: Lines
    ) -> None:
        answers.failing = True
        draws = iter([0.0, 0.5, 1.0])
        watcher = program.Watcher(answers, lambda _: None, 5.0, log, draw=lambda: next(draws))
        watcher.poll()
        assert [watcher.pause() for _ in range(3)] == [2.5, 3.75, 5.0]

    def test_a_failure_is_said_once_and_its_end_too(
        self, watcher: Any, answers: Metadata, log: Lines
    ) -> None:
        answers.failing = True
        for _ in range(3):
            watcher.poll()
        answers.failing = False
        watcher.poll()
        watcher.poll()
        assert log.messages == ["metadata_failed", "metadata_answers_again"]
        assert log.lines[1]["after_failures"] == 3

    def test_it_polls_until_it_is_told_to_stop(self, watcher: Any, log: Lines) -> None:
        pauses: list[float] = []

        def wait(seconds: float) -> bool:
            pauses.append(seconds)
            return len(pauses) == 3

        watcher.watch(wait)
        assert pauses == [5.0, 5.0, 5.0]


def hook(folder: Path, name: str, text: str = "", mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


@dataclass
class FakeProcess:
    """A hook's process: ends with a status or outlasts every limit, taking the clock along."""

    clock: Clock
    pid: int
    seconds: float
    status: int
    ended: bool = False

    def wait(self, timeout: float | None = None) -> int:
        if self.ended or timeout is None:
            return self.status
        if self.seconds > timeout:
            self.clock.now += timeout
            raise subprocess.TimeoutExpired("hook", timeout)
        self.clock.now += self.seconds
        return self.status


@dataclass
class FakeProcesses:
    """Starts nothing: `seconds` and `status` by the hook's name, everything started noted."""

    clock: Clock
    seconds: dict[str, float] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    started: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    signals: list[tuple[int, int]] = field(default_factory=list)
    on_start: Callable[[str], None] = lambda _: None

    def start(self, path: Path, environment: Mapping[str, str]) -> FakeProcess:
        self.started.append((path.name, dict(environment)))
        self.on_start(path.name)
        name = path.name
        return FakeProcess(
            self.clock, len(self.started), self.seconds.get(name, 1.0), self.status.get(name, 0)
        )

    def send(self, pid: int, which: int) -> None:
        self.signals.append((pid, which))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.started]


class TestHooks:
    INTERRUPTION = program.parse_announcement("interruption", TERMINATE)

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock(NOTICED)

    @pytest.fixture
    def processes(self, clock: Clock) -> FakeProcesses:
        return FakeProcesses(clock)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "hooks.d" / "interruption"

    def runner(self, folder: Path, processes: FakeProcesses, log: Lines) -> Any:
        """A new one each time, as after a restart: the state file is what remains."""
        history = program.History(folder.parent.parent / "state.json", log)
        limits = program.Limits(margin=5.0, rebalance=300.0)
        return program.HookRunner(
            folder.parent, history, limits, log, processes.clock, processes.start, processes.send
        )

    def test_they_run_in_name_order_and_know_what_is_announced(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        for name in ("20-flush", "10-stop", "9-last"):
            hook(folder, name)
        assert self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-stop", "20-flush", "9-last"]
        told = {k: v for k, v in processes.started[0][1].items() if k.startswith("SIGNALBOX_")}
        assert told == {
            "SIGNALBOX_KIND": "interruption",
            "SIGNALBOX_ACTION": "terminate",
            "SIGNALBOX_TIME": TAKEN,
            "SIGNALBOX_LIMIT_SECONDS": "115",
        }

    def test_only_executable_files_are_hooks(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-yes")
        hook(folder, "README", mode=0o644)
        hook(folder, ".hidden")
        hook(folder, "10-yes~")
        (folder / "folder").mkdir()
        self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-yes"]

    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_one_that_others_can_write_is_refused_by_name(
        self, folder: Path, processes: FakeProcesses, log: Lines, mode: int
    ) -> None:
        bad = hook(folder, "10-bad", mode=mode)
        hook(folder, "20-good")
        self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["20-good"]
        assert [line["hook"] for line in log.of("hook_refused")] == [str(bad)]

    def test_a_folder_that_others_can_write_is_refused(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-good")
        folder.chmod(0o777)
        self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == []
        assert log.of("hook_refused")

    def test_no_folder_is_no_hooks(self, folder: Path, processes: FakeProcesses, log: Lines) -> None:
        folder.parent.mkdir()
        assert self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == []

    def test_each_gets_what_the_ones_before_it_left(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-long")
        hook(folder, "20-next")
        processes.seconds["10-long"] = 60.0
        self.runner(folder, processes, log).run(self.INTERRUPTION)
        limits = [environment["SIGNALBOX_LIMIT_SECONDS"] for _, environment in processes.started]
        assert limits == ["115", "55"]

    def test_one_that_outlasts_its_limit_is_killed_with_all_it_started_and_the_next_is_too_late(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-hangs")
        hook(folder, "20-next")
        processes.seconds["10-hangs"] = 1e9
        assert not self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-hangs"]
        assert processes.signals == [(1, signal.SIGKILL)]
        assert [line["message"] for line in log.lines if line["level"] != "info"] == [
            "hook_timed_out",
            "hook_too_late",
        ]

    def test_one_that_fails_does_not_keep_the_next_from_running(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-fails")
        hook(folder, "20-next")
        processes.status["10-fails"] = 3
        assert not self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-fails", "20-next"]
        assert log.of("hook_ended")[0]["exit_status"] == 3

    @pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
    def test_nothing_starts_when_nothing_is_left(
        self, folder: Path, processes: FakeProcesses, log: Lines, action: str
    ) -> None:
        hook(folder, "10-stop")
        text = json.dumps({"action": action, "time": "2026-01-31T12:00:05Z"})
        assert not self.runner(folder, processes, log).run(program.parse_announcement("interruption", text))
        assert processes.names == []
        assert log.messages == ["hook_too_late", "hooks_done"]

    def test_a_recommendation_has_a_limit_of_its_own_and_its_own_folder(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-stop")
        hook(folder.with_name("rebalance"), "10-checkpoint")
        self.runner(folder, processes, log).run(program.parse_announcement("rebalance", RECOMMENDED))
        assert [(n, e["SIGNALBOX_LIMIT_SECONDS"]) for n, e in processes.started] == [("10-checkpoint", "300")]

    def test_after_a_restart_none_runs_again(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-stop")
        self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-stop"]

    def test_after_a_crash_those_not_begun_run_and_the_one_cut_off_does_not(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-stop")
        hook(folder, "20-flush")

        def crash(_: str) -> None:
            raise KeyboardInterrupt

        processes.on_start = crash
        with pytest.raises(KeyboardInterrupt):
            self.runner(folder, processes, log).run(self.INTERRUPTION)
        processes.on_start = lambda _: None
        self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-stop", "20-flush"]

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', "\udcff"])
    def test_an_unreadable_state_is_said_and_keeps_no_hook_from_running(
        self, folder: Path, processes: FakeProcesses, log: Lines, text: str
    ) -> None:
        hook(folder, "10-stop")
        (folder.parent.parent / "state.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        assert self.runner(folder, processes, log).run(self.INTERRUPTION)
        assert processes.names == ["10-stop"]
        assert log.messages[0] == "state_not_read"

    def test_a_state_that_can_not_be_written_is_said_once_and_keeps_no_hook_from_running(
        self, tmp_path: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        folder = tmp_path / "hooks.d" / "interruption"
        hook(folder, "10-stop")
        hook(folder, "20-flush")
        history = program.History(tmp_path / "gone" / "state.json", log)
        limits = program.Limits(margin=5.0, rebalance=300.0)
        runner = program.HookRunner(
            folder.parent, history, limits, log, processes.clock, processes.start, processes.send
        )
        assert runner.run(self.INTERRUPTION)
        assert processes.names == ["10-stop", "20-flush"]
        assert len(log.of("state_not_written")) == 1

    def test_the_state_holds_the_newest_announcements_only(self, tmp_path: Path, log: Lines) -> None:
        history = program.History(tmp_path / "state.json", log)
        for day in range(1, 31):
            text = json.dumps({"action": "stop", "time": f"2026-01-{day:02d}T12:00:00Z"})
            history.begin(program.parse_announcement("interruption", text), "10-stop")
        kept = json.loads((tmp_path / "state.json").read_text())
        assert len(kept) == 20
        assert list(kept)[-1] == "interruption stop 2026-01-30T12:00:00Z"
        assert [path.name for path in tmp_path.iterdir()] == ["state.json"]

    def test_a_stop_asks_the_running_hook_to_end_and_lets_no_other_begin(
        self, folder: Path, processes: FakeProcesses, log: Lines
    ) -> None:
        hook(folder, "10-stop")
        hook(folder, "20-flush")
        runner = self.runner(folder, processes, log)
        original = FakeProcess.wait

        class StoppedMeanwhile(FakeProcess):
            def wait(self, timeout: float | None = None) -> int:
                runner.stop()
                return original(self, timeout)

        start = processes.start
        runner._start = lambda path, env: StoppedMeanwhile(**vars(start(path, env)))
        assert not runner.run(self.INTERRUPTION)
        assert processes.names == ["10-stop"]
        assert processes.signals == [(1, signal.SIGTERM)]
        begun = json.loads((folder.parent.parent / "state.json").read_text())
        assert begun == {INTERRUPTION_KEY: ["10-stop"]}


class TestRealHooks:
    """Real processes: what only the operating system can say."""

    held: TextIO

    def run(self, tmp_path: Path, log: Lines, start: Callable[..., Any] = program.start_process) -> bool:
        announcement = program.parse_announcement("interruption", TERMINATE)
        runner = program.HookRunner(
            tmp_path / "hooks.d",
            program.History(tmp_path / "state.json", log),
            program.Limits(margin=0.0, rebalance=300.0),
            log,
            now=lambda: NOTICED,
            start=start,
        )
        good: bool = runner.run(announcement)
        return good

    def test_a_hook_gets_no_arguments_sees_its_environment_and_writes_to_stderr(
        self, tmp_path: Path, log: Lines, capfd: pytest.CaptureFixture[str]
    ) -> None:
        hook(
            tmp_path / "hooks.d" / "interruption",
            "10-say",
            'echo "$# $SIGNALBOX_ACTION $SIGNALBOX_TIME"; pwd',
        )
        assert self.run(tmp_path, log)
        out, err = capfd.readouterr()
        assert out == ""
        assert err == f"0 terminate {TAKEN}\n/\n"

    def test_a_name_is_never_read_by_a_shell(self, tmp_path: Path, log: Lines) -> None:
        hook(tmp_path / "hooks.d" / "interruption", f"10; touch {tmp_path.name}-pwned")
        hook(tmp_path / "hooks.d" / "interruption", "20 $(false)", "exit 7")
        assert not self.run(tmp_path, log)
        assert [line["exit_status"] for line in log.of("hook_ended")] == [0, 7]

    def test_one_without_a_first_line_is_named_with_the_remedy(self, tmp_path: Path, log: Lines) -> None:
        path = hook(tmp_path / "hooks.d" / "interruption", "10-text")
        path.write_text("echo no interpreter\n")
        assert not self.run(tmp_path, log)
        assert "#!/bin/sh" in log.of("hook_not_started")[0]["reason"]

    def test_a_limit_ends_a_hook_and_what_it_started(self, tmp_path: Path, log: Lines) -> None:
        # The hook and its child hold the pipe open until they end, and ignore a polite request to.
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        text = (
            f"trap '' TERM; exec 3> {pipe}; mkfifo {tmp_path}/never; cat {tmp_path}/never & echo up >&3; wait"
        )
        hook(tmp_path / "hooks.d" / "interruption", "10-hangs", text)
        with ExitStack() as opened:

            def start(path: Path, environment: Mapping[str, str]) -> Impatient:
                process = program.start_process(path, environment)
                self.held = opened.enter_context(pipe.open())
                assert self.held.readline() == "up\n"
                return Impatient(process)

            assert not self.run(tmp_path, log, start)
            assert log.of("hook_timed_out")
            ended, _, _ = select.select([self.held], [], [], PATIENCE)
            assert ended
            assert self.held.read() == ""


@dataclass
class Impatient:
    """A process whose time limit is over as soon as one is set."""

    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, timeout: float | None = None) -> int:
        return self.process.wait(None if timeout is None else 0.001)


class TestProgram:
    """The program as systemd starts it: a process of its own, nothing installed beside Python."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "hooks.d").mkdir()
        return tmp_path

    def arguments(self, folder: Path, *more: str) -> list[str]:
        return [
            *(sys.executable, "-I", "-S", str(PROGRAM)),
            *("--hooks", str(folder / "hooks.d"), "--state", str(folder / "state.json"), *more),
        ]

    def once(self, folder: Path, endpoint: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 # the project's own program
            self.arguments(folder, "--once", *more),
            env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint, "PATH": os.defpath},
            input="not for a hook",
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def test_once_with_nothing_announced_does_nothing(self, folder: Path, endpoint: str) -> None:
        done = self.once(folder, endpoint)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_once_runs_what_is_announced_and_not_again(
        self, folder: Path, endpoint: str, metadata: MetadataService
    ) -> None:
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        metadata.documents[INSTANCE_ACTION] = json.dumps(
            {"action": "stop", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        )
        hook(folder / "hooks.d" / "interruption", "10-say", 'cat; echo "will $SIGNALBOX_ACTION"')
        first = self.once(folder, endpoint)
        assert (first.returncode, first.stderr) == (0, "will stop\n")
        lines = [json.loads(line) for line in first.stdout.splitlines()]
        assert [line["message"] for line in lines] == [
            "announced",
            "hook_started",
            "hook_ended",
            "hooks_done",
        ]
        assert lines[0]["announced"] == f"{at:%Y-%m-%dT%H:%M:%SZ}"
        assert all(datetime.fromisoformat(line["time"]) < at for line in lines)
        second = self.once(folder, endpoint)
        assert (second.returncode, second.stderr) == (0, "")

    def test_once_says_by_its_status_that_a_hook_failed(
        self, folder: Path, endpoint: str, metadata: MetadataService
    ) -> None:
        metadata.documents[REBALANCE] = RECOMMENDED
        hook(folder / "hooks.d" / "rebalance", "10-fails", "exit 3")
        assert self.once(folder, endpoint).returncode == 1

    def test_once_says_by_its_status_that_nobody_answered(self, folder: Path) -> None:
        with served(lambda *_: (200, {}, "")) as endpoint:
            pass
        done = self.once(folder, endpoint)
        assert done.returncode == 1
        assert json.loads(done.stdout)["message"] == "metadata_failed"

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            (["--hooks", "/nowhere"], "/nowhere: no such folder"),
            (["--state", "/nowhere/state.json"], "/nowhere/state.json: can't be written"),
            (["--endpoint", "ftp://here"], "'ftp://here' is no metadata endpoint such as"),
            (["--interval", "0"], "'0' is no number of seconds from 1 to 60"),
            (["--margin", "nan"], "'nan' is no number of seconds"),
        ],
    )
    def test_wrong_use_is_refused_with_what_is_allowed(
        self, folder: Path, endpoint: str, more: Sequence[str], told: str
    ) -> None:
        done = self.once(folder, endpoint, *more)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_at_once_and_well(
        self, folder: Path, endpoint: str, metadata: MetadataService, which: signal.Signals
    ) -> None:
        with self.started(folder, endpoint) as process:
            assert metadata.asked.wait(PATIENCE)
            process.send_signal(which)
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        assert [json.loads(line)["message"] for line in out.splitlines()] == ["started", "stopped"]

    def test_a_signal_ends_its_hook_too(self, folder: Path, endpoint: str, metadata: MetadataService) -> None:
        metadata.documents[REBALANCE] = RECOMMENDED
        never = folder / "never"
        os.mkfifo(never)
        hook(folder / "hooks.d" / "rebalance", "10-hangs", f"exec cat {never}")
        hook(folder / "hooks.d" / "rebalance", "20-next")
        # The pipe opens only once the hook reads it.
        with self.started(folder, endpoint) as process, never.open("w"):
            process.terminate()
            out, _ = process.communicate(timeout=PATIENCE)
        lines = [json.loads(line) for line in out.splitlines()]
        assert process.returncode == 0
        assert [line["exit_status"] for line in lines if line["message"] == "hook_ended"] == [-signal.SIGTERM]
        assert [line["reason"] for line in lines if line["message"] == "hook_not_started"] == [
            "the watcher stops"
        ]
        assert lines[-1]["message"] == "stopped"

    def test_hooks_of_a_rebalance_do_not_keep_an_interruption_waiting(
        self, folder: Path, endpoint: str, metadata: MetadataService
    ) -> None:
        metadata.documents[REBALANCE] = RECOMMENDED
        never, done = folder / "never", folder / "done"
        os.mkfifo(never)
        os.mkfifo(done)
        hook(folder / "hooks.d" / "rebalance", "10-hangs", f"exec cat {never}")
        hook(folder / "hooks.d" / "interruption", "10-stop", f"echo $SIGNALBOX_ACTION > {done}")
        with self.started(folder, endpoint, "--interval", "1") as process, never.open("w"):
            at = datetime.now(UTC) + timedelta(hours=1)
            metadata.documents[INSTANCE_ACTION] = json.dumps(
                {"action": "terminate", "time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
            )
            assert done.read_text() == "terminate\n"
            process.terminate()
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0

    @contextmanager
    def started(self, folder: Path, endpoint: str, *more: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(  # noqa: S603 # the project's own program
            self.arguments(folder, "--endpoint", endpoint, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


def test_it_is_python_3_9() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 9))


class TestUnit:
    @pytest.fixture
    def service(self) -> Any:
        unit = ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
        unit.read(FOLDER / "signalbox-watcher.service")
        return unit["Service"]

    def test_it_starts_the_program_with_options_it_knows(self, service: Any) -> None:
        python, isolated, path, *options = shlex.split(service["ExecStart"])
        assert (python, isolated) == ("/usr/bin/python3", "-I")
        assert path.endswith("/watch_interruption.py")
        parsed = program.arguments().parse_args(options)
        assert str(parsed.state.parent) == f"/var/lib/{service['StateDirectory']}"

    def test_it_waits_for_the_hooks_to_end(self, service: Any) -> None:
        assert int(service["TimeoutStopSec"]) > 2 * program.STOP_SECONDS
        assert service["KillMode"] == "mixed"
