"""The command `upload`: files to the documents' bucket, in parts; what was interrupted is gone on with."""

from __future__ import annotations

import argparse
import random
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.credentials import Credentials
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from operations.upload_http import Http, HttpApi, HttpSender, Signer
from operations.upload_notes import Notes
from operations.uploading import EndedError, LocalFile, Uploader
from signalbox.aws.clients import session
from signalbox.errors import SignalboxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from operations.stacks import Stack
    from operations.uploading import Begun, Report

UPLOAD = """\
Uploads files into the documents' bucket, in parts, several at a time, by URLs that the stack's upload API
signs. The API makes the key; it is printed. Each part's SHA-256 is checked by S3, and again when the upload
completes.

Interrupted by Ctrl-C or a lost connection, the parts that have arrived stay for seven days: --resume goes on
with them, after it has compared each with the file.

You need execute-api:Invoke on the API; and with --stack cloudformation:DescribeStacks. Exits with 0 if all
files were uploaded, 1 if one was not, 2 if used wrongly, 130 if interrupted."""
GO_ON = "What has arrived stays for seven days; go on with it by the same command and --resume."
MOST_JOBS = 64
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


class FilesError(ValueError):
    """A file that can't be uploaded; says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to upload, and as whom."""

    url: str
    signer: Signer


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Those of the command."""
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what to upload")
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", metavar="NAME", help="with the credentials and Region of your shell")
    where.add_argument("--url", metavar="URL", help="of the upload API, where you may not look at the stack")
    where.add_argument("--local", action="store_true", help="the embedded AWS that `make up` left running")
    command.add_argument(
        "--jobs", type=_jobs, default=4, metavar="N", help="parts at a time, 1 to 64 (default: %(default)s)"
    )
    command.add_argument(
        "--part-size",
        type=_bytes,
        default=0,
        metavar="SIZE",
        help="as in 16M; 5M to 5G (default: 8M, or as large as 10,000 parts need)",
    )
    command.add_argument("--resume", action="store_true", help="go on with what was interrupted")


def run(files: Sequence[Path], target: Target, jobs: int, part_size: int, *, resume: bool) -> int:
    """Uploads one file after another; says what became of each. Returns the exit status."""
    looked = [_look(path) for path in files]
    command = _Command(target, jobs, part_size, resume=resume)
    try:
        failed = sum(not command.upload(file) for file in looked)
    except KeyboardInterrupt:
        _say(f"Interrupted. {GO_ON}")
        return 130
    return 1 if failed else 0


def deployed(stack: Stack) -> Target:
    """The API of a stack, with the credentials of the shell.

    Raises:
        StackError: it has none.
    """
    return Target(stack.output("DocumentsUploadUrl"), Signer(_credentials(), stack.region))


def at(url: str) -> Target:
    """The API at an address.

    Raises:
        FilesError: it does not say in which Region, and neither does the shell.
    """
    host = (urlsplit(url).hostname or "").split(".")
    region = host[2] if host[1:2] == ["execute-api"] else session().get_config_variable("region")
    if urlsplit(url).scheme not in {"http", "https"} or not region:
        raise FilesError(f"{url} is no address of an upload API: see the stack's output DocumentsUploadUrl.")
    return Target(url.rstrip("/"), Signer(_credentials(), region))


def local(stack: Stack, endpoint: str) -> Target:
    """The API on the embedded AWS, by a path of its endpoint: the name in the output is no name there."""
    # Only here: nothing else of this module knows the embedded AWS.
    from local.settings import ACCESS_KEY, SECRET_KEY  # noqa: PLC0415 - see above

    api = (urlsplit(stack.output("DocumentsUploadUrl")).hostname or "").partition(".")[0]
    credentials = Credentials(ACCESS_KEY, SECRET_KEY)
    return Target(f"{endpoint}/_aws/execute-api/{api}/$default", Signer(credentials, stack.region))


def _credentials() -> Credentials:
    found = session().get_credentials()
    if found is None:
        raise FilesError("There are no AWS credentials in your shell: set AWS_PROFILE, or sign in.")
    return found


class _Command:
    def __init__(self, target: Target, jobs: int, part_size: int, *, resume: bool) -> None:
        stop = threading.Event()
        http = Http(jobs, target.url)
        self._url = target.url
        self._api = HttpApi(http, target.url, target.signer, stop.wait)
        jitter = random.SystemRandom().random
        self._uploader = Uploader(self._api, HttpSender(http), jobs, stop.wait, jitter, stop)
        self._notes = Notes()
        self._part_size = part_size
        self._resume = resume

    def upload(self, file: LocalFile) -> bool:
        try:
            done = self._upload(file)
        except (SignalboxError, OSError) as error:
            _say(f"{file.path} was not uploaded: {error}")
            if self._notes.find(file.path, self._url):
                _say(GO_ON)
            return False
        print(f"{file.path} → {done.key}")
        return True

    def _upload(self, file: LocalFile) -> Begun:
        begun, there = self._known(file) or (self._begin(file), {})
        file.part_size = begun.part_size
        try:
            with _bar(file) as report:
                done = self._uploader.upload(file, begun, there, report)
        except EndedError:
            self._notes.drop(file.path, self._url)
            raise
        self._notes.drop(file.path, self._url)
        return done

    def _begin(self, file: LocalFile) -> Begun:
        begun = self._api.begin(file.path.name, file.size, self._part_size)
        self._notes.write(file.path, self._url, file.size, begun.id)
        return begun

    def _known(self, file: LocalFile) -> tuple[Begun, dict[int, str]] | None:
        """The upload to go on with; None to begin a new one. Says why where one was asked for."""
        note = self._notes.find(file.path, self._url)
        if not self._resume:
            if note:
                _say(f"{file.path}: an upload was interrupted, --resume would go on with it. Beginning anew.")
            return None
        if note is None or note.size != file.size:
            why = "nothing to go on with" if note is None else "the file has another size now"
            _say(f"{file.path}: {why}. Beginning anew.")
            return None
        try:
            begun, there = self._api.look(note.upload)
        except EndedError:
            begun, there = None, {}
        if begun is None or begun.state == "aborted":
            _say(f"{file.path}: the upload was aborted, or has expired. Beginning anew.")
            return None
        return begun, there


@contextmanager
def _bar(file: LocalFile) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(file.path.name, total=file.size)
        yield lambda count: progress.update(task, advance=count)


def _look(path: Path) -> LocalFile:
    if not path.is_file():
        raise FilesError(f"{path} is no file." if path.exists() else f"There is no file {path}.")
    try:
        return LocalFile.look(path)
    except OSError as error:
        raise FilesError(f"{path} can't be read: {error.strerror}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of parts: write 1 to {MOST_JOBS}")
    return int(text)


def _bytes(text: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in {"K", "M", "G"} else (text, "")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write as in 16M")
    return int(number) * UNITS[unit]
