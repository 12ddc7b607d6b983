#!/usr/bin/env python3
"""Watches the instance metadata service for what Spot announces, and runs local hooks.

Polls, with IMDSv2, for an interruption notice and a rebalance recommendation. Each announcement runs the
executables of ``<hooks>/interruption`` or ``<hooks>/rebalance``, in name order, each at most once.

Python 3.9 or later, standard library only. Sources: "Spot Instance interruption notices", "EC2 instance
rebalance recommendations" and "Use IMDSv2", Amazon EC2 User Guide.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import http.client
import json
import os
import random
import re
import select
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ENDPOINT = "http://169.254.169.254"
ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"  # the SDKs' own
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_SECONDS = 21600  # the most that IMDSv2 gives
TOKEN_MARGIN_SECONDS = 60
REQUEST_SECONDS = 2.0
LONGEST_ANSWER = 65536
LONGEST_PAUSE_SECONDS = 20.0  # of a two minutes' notice
STOP_SECONDS = 5.0  # what a hook gets to end by itself
KEPT_ANNOUNCEMENTS = 20
STANDARD_ERROR = 2

INTERRUPTION = "interruption"
REBALANCE = "rebalance"
PATHS = {
    INTERRUPTION: "/latest/meta-data/spot/instance-action",
    REBALANCE: "/latest/meta-data/events/recommendations/rebalance",
}
# What goes into a hook's environment is one of these and nothing else.
ACTION = re.compile(r"[a-z][a-z-]{0,31}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
TOKEN = re.compile(r"[!-~]+")


class MetadataError(Exception):
    """The metadata service could not be asked, or did not answer as it should."""


class UnusableError(Exception):
    """Something the operator gave that the program can't work with. Says what to do."""


class Log(Protocol):
    def __call__(self, level: str, message: str, **fields: object) -> None: ...


class JsonLog:
    """One JSON object a line: time, level, message, and what else there is to say."""

    def __init__(self, write: Callable[[str], object], now: Callable[[], float]) -> None:
        self._write = write
        self._now = now

    def __call__(self, level: str, message: str, **fields: object) -> None:
        at = datetime.fromtimestamp(self._now(), timezone.utc).isoformat(timespec="milliseconds")
        self._write(json.dumps({"time": at, "level": level, "message": message, **fields}) + "\n")


@dataclass(frozen=True)
class Announcement:
    """What the metadata service announces.

    Attributes:
        kind: ``interruption`` or ``rebalance``.
        action: ``terminate``, ``stop`` or ``hibernate``; ``rebalance`` for a recommendation.
        time: as announced, for example ``2026-01-31T12:00:00Z``.
        deadline: when EC2 takes the instance, in seconds since 1970; None for a recommendation.
    """

    kind: str
    action: str
    time: str
    deadline: float | None

    @property
    def key(self) -> str:
        """The same for the same announcement, however often it is read."""
        return f"{self.kind} {self.action} {self.time}"


def parse_announcement(kind: str, text: str) -> Announcement:
    """The announcement in the metadata service's answer.

    Raises:
        MetadataError: it makes no sense; says where.
    """
    path = PATHS[kind]
    try:
        body = json.loads(text)
    except ValueError as error:
        raise MetadataError(f"{path}: not JSON: {text[:200]!r}") from error
    if not isinstance(body, dict):
        raise MetadataError(f"{path}: not a JSON object: {text[:200]!r}")
    if kind == REBALANCE:
        at, _ = _moment(path, body, "noticeTime")
        return Announcement(kind, REBALANCE, at, None)
    action = body.get("action")
    if not isinstance(action, str) or not ACTION.fullmatch(action):
        raise MetadataError(f"{path}: action is no word such as terminate: {action!r}")
    at, deadline = _moment(path, body, "time")
    return Announcement(kind, action, at, deadline)


def _moment(path: str, body: Mapping[str, Any], member: str) -> tuple[str, float]:
    text = body.get(member)
    try:
        if isinstance(text, str) and TIME.fullmatch(text):
            return text, datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:  # the 31st of February
        pass
    raise MetadataError(f"{path}: {member} is no time such as 2026-01-31T12:00:00Z: {text!r}")


class MetadataService:
    """The instance metadata service, by IMDSv2 only.

    Args:
        endpoint: ``http://host[:port]``.
        monotonic: seconds of a clock that only goes forward.
        token_seconds: how long a token is asked for, 1 to 21600.
    """

    def __init__(
        self, endpoint: str, monotonic: Callable[[], float], token_seconds: int = TOKEN_SECONDS
    ) -> None:
        self._host, self._port = _host_and_port(endpoint)
        self._monotonic = monotonic
        self._token_seconds = token_seconds
        self._token = ""
        self._renew_at = 0.0

    def get(self, path: str) -> str | None:
        """The text at a path; None where there is nothing.

        Raises:
            MetadataError: no answer, or one that is neither 200 nor 404.
        """
        if not self._token or self._monotonic() >= self._renew_at:
            self._renew()
        status, body = self._get(path)
        if status == http.client.UNAUTHORIZED:
            # Before its time: the instance was stopped or hibernated in between, for example.
            self._renew()
            status, body = self._get(path)
        if status == http.client.NOT_FOUND:
            return None
        if status != http.client.OK:
            self._token = ""
            raise MetadataError(f"GET {path}: status {status}")
        return body

    def _get(self, path: str) -> tuple[int, str]:
        status, body, _ = self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
        return status, body

    def _renew(self) -> None:
        self._token = ""
        asked_at = self._monotonic()
        headers = {TTL_HEADER: str(self._token_seconds)}
        status, body, answered = self._request("PUT", "/latest/api/token", headers)
        if status == http.client.FORBIDDEN:
            raise MetadataError(
                "PUT /latest/api/token: status 403: the instance's metadata service is turned off, or a "
                "proxy stands in between. See `aws ec2 modify-instance-metadata-options --http-endpoint`"
            )
        if status != http.client.OK or not TOKEN.fullmatch(body):
            raise MetadataError(f"PUT /latest/api/token: status {status}")
        granted = answered.get(TTL_HEADER, "")
        seconds = int(granted) if granted.isdecimal() else self._token_seconds
        self._token = body
        self._renew_at = asked_at + seconds - min(TOKEN_MARGIN_SECONDS, seconds / 10)

    def _request(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> tuple[int, str, http.client.HTTPMessage]:
        # http.client, unlike urllib.request, knows no proxies and follows no redirects: neither belongs here.
        connection = http.client.HTTPConnection(self._host, self._port, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            text = answer.read(LONGEST_ANSWER).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise MetadataError(f"{method} {path} at {self._host}:{self._port}: {error!r}") from error
        finally:
            connection.close()
        return answer.status, text, answer.headers


def _host_and_port(endpoint: str) -> tuple[str, int]:
    hint = f"{endpoint!r} is no metadata endpoint such as {ENDPOINT}"
    try:
        parts = urlsplit(endpoint)
        port = parts.port or http.client.HTTP_PORT
    except ValueError as error:
        raise UnusableError(f"{hint}: {error}") from error
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise UnusableError(hint)
    return parts.hostname, port


class History:
    """Which hooks were begun for which announcement, in a file, so that none runs twice.

    A hook is noted before it starts: after a crash the ones not begun run, the one that was cut off does not.
    A file that can't be written any more is said once and does not keep a hook from running.
    """

    def __init__(self, path: Path, log: Log) -> None:
        self._path = path
        self._log = log
        self._lock = threading.Lock()
        self._broken = False
        self._begun: dict[str, list[str]] = self._read()

    def begin(self, announcement: Announcement, hook: str) -> bool:
        """Notes that a hook begins; False if it already did."""
        with self._lock:
            begun = self._begun.setdefault(announcement.key, [])
            if hook in begun:
                return False
            begun.append(hook)
            for key in list(self._begun)[:-KEPT_ANNOUNCEMENTS]:
                del self._begun[key]
            try:
                self.save()
            except OSError as error:
                if not self._broken:
                    self._log("error", "state_not_written", file=str(self._path), error=str(error))
                self._broken = True
            return True

    def save(self) -> None:
        """Writes the file: the old one or the new one is there, never half of it."""
        handle, name = tempfile.mkstemp(dir=str(self._path.parent), prefix=self._path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._begun, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def _read(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(key): [str(hook) for hook in hooks] for key, hooks in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            # Hooks that run twice are the lesser evil.
            self._log("error", "state_not_read", file=str(self._path), error=str(error))
            return {}


class Process(Protocol):
    """What the runner needs of subprocess.Popen."""

    pid: int

    def wait(self, timeout: float | None = None) -> int: ...


def start_process(path: Path, environment: Mapping[str, str]) -> Process:
    """Starts an executable: no shell, no input, a process group of its own; it writes to our stderr."""
    return subprocess.Popen(  # noqa: S603 # the operator's own hook; no argument is anybody else's
        [str(path)],
        env=dict(environment),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=STANDARD_ERROR,
        start_new_session=True,
    )


def signal_group(pid: int, which: int) -> None:
    """Signals a hook and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, which)


@dataclass(frozen=True)
class Limits:
    """Seconds: kept back before the deadline, and what one rebalance hook may take."""

    margin: float
    rebalance: float


class HookRunner:
    """Runs an announcement's hooks, one after another."""

    def __init__(
        self,
        hooks: Path,
        history: History,
        limits: Limits,
        log: Log,
        now: Callable[[], float] = time.time,
        start: Callable[[Path, Mapping[str, str]], Process] = start_process,
        send: Callable[[int, int], None] = signal_group,
    ) -> None:
        self._hooks = hooks
        self._history = history
        self._limits = limits
        self._log = log
        self._now = now
        self._start = start
        self._send = send
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._stopping = False

    def run(self, announcement: Announcement) -> bool:
        """Runs those not begun yet; True if none failed, ran out of time or came too late."""
        good = True
        folder = self._hooks / announcement.kind
        for hook in executables(folder, self._log):
            good = self._run_one(announcement, hook) and good
        self._log("info", "hooks_done", kind=announcement.kind, folder=str(folder), good=good)
        return good

    def stop(self) -> None:
        """Lets no further hook begin and asks the running ones to end."""
        self._signal_running(signal.SIGTERM)

    def kill(self) -> None:
        """Ends what did not end when asked."""
        self._signal_running(signal.SIGKILL)

    def _signal_running(self, which: int) -> None:
        with self._lock:
            self._stopping = True
            for pid in self._running:
                self._send(pid, which)

    def _run_one(self, announcement: Announcement, hook: Path) -> bool:
        limit = self._limit(announcement)
        if limit <= 0:
            self._log("warning", "hook_too_late", hook=str(hook), announced=announcement.time)
            return False
        # Under the lock: a hook either starts before `stop` and is told to end, or does not start.
        with self._lock:
            if self._stopping:
                self._log("warning", "hook_not_started", hook=str(hook), reason="the watcher stops")
                return False
            if not self._history.begin(announcement, hook.name):
                self._log("info", "hook_begun_before", hook=str(hook), announcement=announcement.key)
                return True
            process = self._started(announcement, hook, limit)
        return process is not None and self._await(hook, process, limit)

    def _started(self, announcement: Announcement, hook: Path, limit: float) -> Process | None:
        try:
            process = self._start(hook, _environment(announcement, limit))
        except OSError as error:
            self._log("error", "hook_not_started", hook=str(hook), reason=_reason(error))
            return None
        self._running.add(process.pid)
        self._log("info", "hook_started", hook=str(hook), limit_seconds=round(limit, 1))
        return process

    def _await(self, hook: Path, process: Process, limit: float) -> bool:
        began = self._now()
        try:
            status = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            self._send(process.pid, signal.SIGKILL)
            process.wait()
            self._log("error", "hook_timed_out", hook=str(hook), limit_seconds=round(limit, 1))
            return False
        finally:
            with self._lock:
                self._running.discard(process.pid)
        level = "error" if status else "info"
        seconds = round(self._now() - began, 3)
        self._log(level, "hook_ended", hook=str(hook), exit_status=status, seconds=seconds)
        return status == 0

    def _limit(self, announcement: Announcement) -> float:
        if announcement.deadline is None:
            return self._limits.rebalance
        return announcement.deadline - self._now() - self._limits.margin


def _environment(announcement: Announcement, limit: float) -> dict[str, str]:
    return {
        **os.environ,
        "SIGNALBOX_KIND": announcement.kind,
        "SIGNALBOX_ACTION": announcement.action,
        "SIGNALBOX_TIME": announcement.time,
        "SIGNALBOX_LIMIT_SECONDS": str(int(limit)),
    }


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "neither a program nor a script with a first line such as #!/bin/sh"
    return str(error)


def executables(folder: Path, log: Log) -> list[Path]:
    """The hooks of a folder in name order; what others could have written is refused and named."""
    try:
        found = sorted(path for path in folder.iterdir() if _is_hook(path))
        writable = _writable_by_others(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        log("error", "hooks_not_read", folder=str(folder), error=str(error))
        return []
    refused = [path for path in found if writable or _writable_by_others(path)]
    for path in refused:
        log("error", "hook_refused", hook=str(path), reason="it or its folder is writable by group or others")
    return [path for path in found if path not in refused]


def _is_hook(path: Path) -> bool:
    # Hidden files and editors' copies are no hooks.
    named = not path.name.startswith(".") and not path.name.endswith("~")
    return named and path.is_file() and os.access(str(path), os.X_OK)


def _writable_by_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH))


class Watcher:
    """Asks the metadata service and hands each announcement over, once.

    Args:
        ask: the text at a path, None for nothing; raises MetadataError.
        announce: gets each new announcement; must not block.
        draw: a random number from 0 to 1.
    """

    def __init__(
        self,
        ask: Callable[[str], str | None],
        announce: Callable[[Announcement], None],
        interval: float,
        log: Log,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._ask = ask
        self._announce = announce
        self._interval = interval
        self._log = log
        self._draw = draw
        self._announced: set[str] = set()
        self._error = ""
        self._failures = 0

    def poll(self) -> bool:
        """Asks for each kind; True if everything was answered."""
        errors = [error for error in (self._poll_kind(kind) for kind in PATHS) if error]
        error = "; ".join(dict.fromkeys(errors))
        if error and error != self._error:
            self._log("error", "metadata_failed", error=error)
        if self._error and not error:
            self._log("info", "metadata_answers_again", after_failures=self._failures)
        self._error = error
        self._failures = self._failures + 1 if error else 0
        return not error

    def pause(self) -> float:
        """Seconds until the next poll: the interval; after failures more, and jittered."""
        if not self._failures:
            return self._interval
        longest = max(self._interval, LONGEST_PAUSE_SECONDS)
        doubled = self._interval * 2.0 ** min(self._failures - 1, 16)
        return min(longest, doubled) * (0.5 + self._draw() / 2)

    def watch(self, wait: Callable[[float], bool]) -> None:
        """Polls until `wait`, called with the seconds to pause, says that it is over."""
        while True:
            self.poll()
            if wait(self.pause()):
                return

    def _poll_kind(self, kind: str) -> str:
        try:
            text = self._ask(PATHS[kind])
            announcement = parse_announcement(kind, text) if text is not None else None
        except MetadataError as error:
            return str(error)
        if announcement is not None and announcement.key not in self._announced:
            self._announced.add(announcement.key)
            self._log(
                "warning", "announced", kind=kind, action=announcement.action, announced=announcement.time
            )
            self._announce(announcement)
        return ""


class HookThreads:
    """A thread for each announcement: hooks of a rebalance must not keep an interruption waiting."""

    def __init__(self, runner: HookRunner) -> None:
        self._runner = runner
        self._threads: list[threading.Thread] = []
        self.failed = False

    def announce(self, announcement: Announcement) -> None:
        thread = threading.Thread(target=self._run, args=(announcement,), name=announcement.kind, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, seconds: float | None = None) -> bool:
        """Waits for the hooks to end; True if all did."""
        until = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, announcement: Announcement) -> None:
        good = self._runner.run(announcement)
        self.failed = self.failed or not good


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[float], bool]]:
    """A wait that SIGTERM or SIGINT cuts short; it then answers True, now and later.

    Through a pipe: a signal handler that sets a threading.Event can deadlock with the thread waiting for it.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers = {which: signal.signal(which, lambda *_: None) for which in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda seconds: bool(select.select([reading], [], [], seconds)[0])
    finally:
        for which, handler in handlers.items():
            signal.signal(which, handler)
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from {least:g} to {most:g}")
        return value

    return parse


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Runs local hooks when Spot announces an interruption or recommends a rebalance.",
        epilog="Exit status: 0 stopped or, with --once, nothing to do or done; 1 with --once: a hook failed "
        f"or the metadata service did not answer; 2 wrong use. {ENDPOINT_VARIABLE} names another endpoint.",
    )
    parser.add_argument(
        "--hooks",
        type=Path,
        default=Path("/etc/signalbox/hooks.d"),
        help="folder with interruption/ and rebalance/ (%(default)s)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path("/var/lib/signalbox-watcher/hooks.json"),
        help="file that remembers which hooks ran (%(default)s)",
    )
    parser.add_argument("--interval", type=_seconds(1, 60), default=5.0, help="seconds between polls (5)")
    parser.add_argument(
        "--margin",
        type=_seconds(0, 60),
        default=5.0,
        help="seconds before the deadline by which interruption hooks must have ended (5)",
    )
    parser.add_argument(
        "--rebalance-limit",
        type=_seconds(1, 86400),
        default=300.0,
        help="seconds that a rebalance hook may take (300)",
    )
    parser.add_argument("--once", action="store_true", help="ask once, run what is announced, end")
    parser.add_argument(
        "--endpoint",
        default=os.environ.get(ENDPOINT_VARIABLE) or ENDPOINT,
        help="the metadata service (%(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; answers its exit status."""
    options = arguments().parse_args(argv)
    log = JsonLog(_print, time.time)
    try:
        history = _history(options.hooks, options.state, log)
        service = MetadataService(options.endpoint, time.monotonic)
    except UnusableError as error:
        sys.stderr.write(f"watch_interruption.py: {error}\n")
        return 2
    runner = HookRunner(options.hooks, history, Limits(options.margin, options.rebalance_limit), log)
    threads = HookThreads(runner)
    watcher = Watcher(service.get, threads.announce, options.interval, log)
    with stop_signals() as wait:
        if options.once:
            return _once(watcher, threads, runner, wait)
        log("info", "started", endpoint=options.endpoint, hooks=str(options.hooks), interval=options.interval)
        watcher.watch(wait)
        _stop(threads, runner)
        log("info", "stopped")
    return 0


def _once(watcher: Watcher, threads: HookThreads, runner: HookRunner, wait: Callable[[float], bool]) -> int:
    answered = watcher.poll()
    while not threads.join(0.1):
        if wait(0):
            _stop(threads, runner)
            return 1
    return 0 if answered and not threads.failed else 1


def _stop(threads: HookThreads, runner: HookRunner) -> None:
    runner.stop()
    if not threads.join(STOP_SECONDS):
        runner.kill()
        threads.join(STOP_SECONDS)


def _history(hooks: Path, state: Path, log: Log) -> History:
    if not hooks.is_dir():
        raise UnusableError(
            f"--hooks {hooks}: no such folder; make it, with interruption/ and rebalance/ in it"
        )
    history = History(state, log)
    try:
        history.save()
    except OSError as error:
        raise UnusableError(f"--state {state}: can't be written ({error}); make its folder") from error
    return history


def _print(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
