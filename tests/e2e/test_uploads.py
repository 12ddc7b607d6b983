"""Uploads through the API as deployed, IAM enforced, by the command as a user types it."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.credentials import Credentials

from local.settings import REGION, ROOT
from operations.upload_http import Http, HttpApi, Signer
from operations.uploading import Begun, EndedError
from signalbox.documents.uploads.checksums import composite
from signalbox.errors import AccessDeniedError
from tests.e2e.gate import Gate
from tests.e2e.stack import PATIENCE_SECONDS, Stack

pytestmark = pytest.mark.embedded

MIB = 2**20
PARTS = 5


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user who may call the upload API, and nothing else; or not even that."""

    stack: Stack
    key: Mapping[str, str]

    @classmethod
    def create(cls, stack: Stack, name: str, *, allowed: bool = True) -> "User":
        iam = stack.aws.client("iam")
        iam.create_user(UserName=name)
        if allowed:
            resource = f"arn:aws:execute-api:{REGION}:*:{api_id(stack)}/*/*/uploads*"
            statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=name, PolicyName="upload", PolicyDocument=document)
        return cls(stack, iam.create_access_key(UserName=name)["AccessKey"])

    @property
    def api(self) -> HttpApi:
        credentials = Credentials(self.key["AccessKeyId"], self.key["SecretAccessKey"])
        return HttpApi(Http(1, url(self.stack)), url(self.stack), Signer(credentials, REGION), no_pause)

    def upload(self, *arguments: str, state: Path, proxy: str = "") -> subprocess.Popen[str]:
        """The command, started."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "layers" / "signalbox"),
            "AWS_ACCESS_KEY_ID": self.key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.key["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
            "XDG_STATE_HOME": str(state),
            "HOME": str(state),
            **({"HTTP_PROXY": proxy} if proxy else {}),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "operations", "upload", "--url", url(self.stack), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def no_pause(_: float) -> None:
    return


def api_id(stack: Stack) -> str:
    return (urlsplit(stack.outputs["DocumentsUploadUrl"]).hostname or "").partition(".")[0]


def url(stack: Stack) -> str:
    """By a path: the emulator's names for APIs are known to nobody."""
    return f"{stack.aws.spine_url}/_aws/execute-api/{api_id(stack)}/$default"


@pytest.fixture(scope="module")
def jane(stack: Stack) -> User:
    return User.create(stack, "jane")


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """What a shell runs in the background ignores SIGINT, and so does whatever it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate(most=2)
    yield gate
    gate.lift()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "my video.mp4"
    path.write_bytes(b"".join(bytes([n]) * (5 * MIB) for n in range(PARTS - 1)) + b"!")
    return path


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def test_an_upload_that_was_interrupted_is_gone_on_with(
    stack: Stack, jane: User, gate: Gate, video: Path, tmp_path: Path
) -> None:
    arguments = (str(video), "--jobs", "2", "--part-size", "5M")
    with gate.served() as proxy:
        process = jane.upload(*arguments, state=tmp_path, proxy=proxy)
        assert gate.held.wait(PATIENCE_SECONDS)
        process.send_signal(signal.SIGINT)
        gate.lift()
        status, out, err = ended(process)
        assert (status, out) == (130, ""), err
        assert "--resume" in err
        first = list(gate.through)
        assert len(first) == 2
        status, out, err = ended(jane.upload(*arguments, "--resume", state=tmp_path, proxy=proxy))
    assert status == 0, err
    assert sorted(gate.through) == [1, 2, 3, 4, 5]  # none of them twice
    found = stored(stack, out.strip().partition(" → ")[2])
    content = video.read_bytes()
    assert found["Body"].read() == content
    parts = [content[start : start + 5 * MIB] for start in range(0, len(content), 5 * MIB)]
    assert found["ChecksumSHA256"] == composite(
        [b64encode(hashlib.sha256(part).digest()).decode() for part in parts]
    )
    assert found["ContentType"] == "video/mp4"


def stored(stack: Stack, key: str) -> dict[str, Any]:
    answer: dict[str, Any] = stack.aws.client("s3").get_object(
        Bucket=stack.outputs["DocumentsBucketName"], Key=key, ChecksumMode="ENABLED"
    )
    return answer


def test_who_may_not_call_the_api_uploads_nothing(stack: Stack, video: Path, tmp_path: Path) -> None:
    joe = User.create(stack, "joe", allowed=False)
    status, out, err = ended(joe.upload(str(video), state=tmp_path))
    assert (status, out) == (1, "")
    assert "refuses you" in err


def test_who_can_not_sign_is_nobody(jane: User) -> None:
    forged = User(jane.stack, {**jane.key, "SecretAccessKey": "guessed"})
    with pytest.raises(AccessDeniedError):
        forged.api.begin("a.txt", 1, 0)


def test_whose_upload_it_is_alone_goes_on_with_it(stack: Stack, jane: User) -> None:
    mallory = User.create(stack, "mallory")
    begun = jane.api.begin("a.txt", 1, 0)
    for attempt in (
        lambda: mallory.api.look(begun.id),
        lambda: mallory.api.sign(begun.id, 1, [b64encode(bytes(32)).decode()]),
        lambda: mallory.api.complete(begun.id, [b64encode(bytes(32)).decode()]),
    ):
        with pytest.raises(EndedError, match="no such upload of yours"):
            attempt()
    known, there = jane.api.look(begun.id)
    assert (known, there) == (Begun(begun.id, begun.key, 1, begun.part_size, 1), {})
