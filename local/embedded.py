"""The embedded AWS as one thing: start it, reach it, stop it.

with EmbeddedAws.start(Path(".local/demo")) as aws:
    aws.client("dynamodb").list_tables()
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlencode

import boto3
import botocore.session
from botocore.config import Config

from local.builds.image import FOLDER, write_image
from local.processes import LocalProcess, ProcessError
from local.settings import ACCESS_KEY, ACCOUNT, HOST, REGION, SECRET_KEY, free_port, port_is_free

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

# What lives behind the guard: boto3's name of the service -> the SDKs' variable for its endpoint.
# SSM as a whole is there: Run Command, the documents it runs and the groups' parameters.
ESTATE_ENDPOINT_VARIABLES = {
    "autoscaling": "AWS_ENDPOINT_URL_AUTO_SCALING",
    "comprehend": "AWS_ENDPOINT_URL_COMPREHEND",
    "ec2": "AWS_ENDPOINT_URL_EC2",
    "ecs": "AWS_ENDPOINT_URL_ECS",
    "elb": "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING",
    "elbv2": "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2",
    "rekognition": "AWS_ENDPOINT_URL_REKOGNITION",
    "ssm": "AWS_ENDPOINT_URL_SSM",
    "textract": "AWS_ENDPOINT_URL_TEXTRACT",
}
CODEARTIFACT_ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_CODEARTIFACT"
# The emulators and the functions they run see these and nothing else of the caller's environment: a real
# profile, a real endpoint or a proxy has no business there.
INHERITED_VARIABLES = ("HOME", "LANG", "LC_ALL", "PATH", "USER")
HEALTH_SECONDS = 60.0
PARTS = ("spine", "estate", "codeartifact")
"""As their processes are recorded; each but the first asks the first."""


@dataclass(slots=True)
class EmbeddedAws:
    """A running spine and, unless it was started alone, the estate behind its guard, and CodeArtifact."""

    state: Path
    spine: LocalProcess
    spine_port: int
    estate: LocalProcess | None
    estate_port: int
    codeartifact: LocalProcess | None
    codeartifact_port: int

    @classmethod
    def start(
        cls,
        state: Path,
        *,
        spine_port: int | None = None,
        estate_port: int | None = None,
        codeartifact_port: int | None = None,
        enforce_iam: bool = True,
        estate: bool = True,
        wait_scale: float = 1.0,
        tethered: bool = True,
    ) -> Self:
        """Starts all and returns when all answer. Nothing is left running when it raises ProcessError.

        A port of None is any free one. Without `estate` the spine is alone: no CodeArtifact either.
        `wait_scale` scales the seconds of a state machine's Wait states.
        Tethered, they end with this process; otherwise they stay until a `stop`, of an attached one perhaps.
        """
        state = state.absolute()
        if cls.attach(state) is not None:
            raise ProcessError(f"An embedded AWS already runs from {state}. Stop it first: `make down`.")
        end_all(state)
        spine_port = _usable(spine_port, "spine", "SIGNALBOX_SPINE_PORT", frozenset())
        estate_port = _usable(estate_port, "estate", "SIGNALBOX_ESTATE_PORT", frozenset({spine_port}))
        codeartifact_port = _usable(
            codeartifact_port,
            "CodeArtifact",
            "SIGNALBOX_CODEARTIFACT_PORT",
            frozenset({spine_port, estate_port}),
        )
        scratch = state / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        write_image(scratch / FOLDER)
        spine = LocalProcess.start(
            "local.spine",
            ["--port", str(spine_port), "--scratch", str(scratch)],
            state=state,
            environment=spine_environment(
                spine_port,
                estate_url=f"http://{HOST}:{estate_port}" if estate else None,
                codeartifact_url=f"http://{HOST}:{codeartifact_port}" if estate else None,
                scratch=scratch,
                enforce_iam=enforce_iam,
                wait_scale=wait_scale,
            ),
            tethered=tethered,
        )
        aws = cls(state, spine, spine_port, None, estate_port, None, codeartifact_port)
        try:
            if estate:
                aws.estate = aws._start_beside("local.estate", estate_port, tethered=tethered)
                aws.codeartifact = aws._start_beside(
                    "local.codeartifact", codeartifact_port, tethered=tethered
                )
            aws._wait_until_healthy()
            ports = {
                "spine": spine_port,
                "estate": estate_port if estate else None,
                "codeartifact": codeartifact_port if estate else None,
            }
            aws._ports_file.write_text(json.dumps(ports))
        except BaseException:
            aws.stop()
            raise
        return aws

    @classmethod
    def attach(cls, state: Path) -> Self | None:
        """The embedded AWS that runs from `state`, or None if none does, or only a part of one."""
        state = state.absolute()
        spine, estate, codeartifact = (LocalProcess.recorded(state, name) for name in PARTS)
        try:
            ports = json.loads((state / "processes" / "ports.json").read_text())
            whole = [bool(ports[name]) for name in PARTS]
        except (FileNotFoundError, ValueError, KeyError):
            return None
        if spine and whole == [True, bool(estate), bool(codeartifact)]:
            return cls(
                state,
                spine,
                ports["spine"],
                estate,
                ports["estate"] or 0,
                codeartifact,
                ports["codeartifact"] or 0,
            )
        return None

    @property
    def spine_url(self) -> str:
        """The endpoint of everything that isn't the estate's."""
        return f"http://{HOST}:{self.spine_port}"

    @property
    def estate_url(self) -> str:
        """The endpoint of the guard and, behind it, of the services named above."""
        return f"http://{HOST}:{self.estate_port}"

    @property
    def codeartifact_url(self) -> str:
        """The endpoint of CodeArtifact."""
        return f"http://{HOST}:{self.codeartifact_port}"

    def endpoint(self, service: str) -> str:
        """Where `service`, as boto3 names it, lives."""
        if self.codeartifact and service == "codeartifact":
            return self.codeartifact_url
        return self.estate_url if self.estate and service in ESTATE_ENDPOINT_VARIABLES else self.spine_url

    def environment(self) -> dict[str, str]:
        """What another process needs in its environment to talk to this AWS with any SDK."""
        return {"AWS_ENDPOINT_URL": self.spine_url} | client_environment(
            self.estate_url if self.estate else None, self.codeartifact_url if self.codeartifact else None
        )

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of `service`, at the endpoint where it lives. `options` go to boto3 as they are."""
        return _session().client(  # type: ignore[call-overload] # the stubs list each service's literal
            service,
            endpoint_url=self.endpoint(service),
            config=options.pop("config", Config(retries={"total_max_attempts": 1}, max_pool_connections=32)),
            **options,
        )

    def elsewhere(self, account: str, region: str) -> Elsewhere:
        """Another account or region of the same AWS, as its root."""
        return Elsewhere(self, account, region)

    def deliver(self, events: list[dict[str, Any]], **bus: str) -> list[dict[str, Any]]:
        """Puts events on a bus as they stand, whatever their source, as AWS itself would.

        It is the default bus of this account and region, or what `bus`, `account` and `region` name.
        For each, in order: `{"id": its id, "rules": [names of the rules it matched]}`.
        """
        delivered: list[dict[str, Any]] = self.ask_spine("POST", f"events?{urlencode(bus)}", events)["events"]
        return delivered

    def segments(self) -> list[dict[str, Any]]:
        """The newest segments and subsegments of traces that functions and services sent, as they sent them.

        Raises ProcessError where one of them was none that an X-Ray daemon would take.
        """
        found = self.ask_spine("GET", "segments")
        if found["refused"]:
            raise ProcessError(f"No X-Ray daemon would take these segments: {found['refused']}")
        sent: list[dict[str, Any]] = found["segments"]
        return sent

    def order_fault(self, fault: dict[str, Any]) -> None:
        """Has the guard do something wrong at the next calls that it fits: see local/README.md."""
        status, answer = _ask(self.estate_port, "POST", "/_guard/faults", json.dumps(fault), timeout=10)
        if status != HTTPStatus.OK:
            raise ProcessError(f"The guard refused the fault: {answer.decode(errors='replace')}")

    def ask_spine(self, method: str, door: str, document: object = None) -> dict[str, Any]:
        """The answer of one of the spine's doors: see local/README.md. Raises ProcessError if it refuses."""
        return _open(self.spine_port, method, f"/_signalbox/{door}", document)

    def ask_codeartifact(self, method: str, door: str, document: object = None) -> dict[str, Any]:
        """The same of one of CodeArtifact's: see local/codeartifact/README.md."""
        return _open(self.codeartifact_port, method, f"/_codeartifact/{door}", document)

    def seed_packages(
        self, *packages: dict[str, Any], domain: str = "acme", repository: str = "team", **where: str
    ) -> list[dict[str, str]]:
        """Publishes package versions of any format, as the seed has them; answers what was published.

        Domain and repository are made if they aren't there. `where` may name `owner`, `administrator` and
        `region`.
        """
        seed = {"domain": domain, "repository": repository, **where, "packages": list(packages)}
        published: list[dict[str, str]] = self.ask_codeartifact("POST", "seed", seed)["published"]
        return published

    def alive(self) -> bool:
        """Whether every process of it still runs."""
        return all(part.alive() for part in (self.spine, self.estate, self.codeartifact) if part)

    def stop(self) -> None:
        """Ends its processes, removes what they unpacked, leaves the logs. Harmless when repeated."""
        with ExitStack() as ends:
            ends.callback(end_all, self.state)
            # The spine last: the others still ask it, and tell it, until they end.
            for part in (self.spine, self.estate, self.codeartifact):
                if part is not None:
                    ends.callback(part.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _start_beside(self, module: str, port: int, *, tethered: bool) -> LocalProcess:
        return LocalProcess.start(
            module,
            ["--port", str(port), "--spine", self.spine_url],
            state=self.state,
            environment=outside_environment(self.state / "scratch"),
            tethered=tethered,
        )

    @property
    def _ports_file(self) -> Path:
        return self.state / "processes" / "ports.json"

    def _wait_until_healthy(self) -> None:
        self.spine.wait_until(lambda: answers(self.spine_port, "/_signalbox/health"), HEALTH_SECONDS)
        if self.estate is not None:
            self.estate.wait_until(lambda: answers(self.estate_port, "/_guard/health"), HEALTH_SECONDS)
        if self.codeartifact is not None:
            self.codeartifact.wait_until(
                lambda: answers(self.codeartifact_port, "/_codeartifact/health"), HEALTH_SECONDS
            )


class Clients(Protocol):
    """An account and region to make things in."""

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of `service` there."""
        ...


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Clients of one account and region, whose root they are."""

    aws: EmbeddedAws
    account: str
    region: str

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of `service` there. `options` go to boto3 as they are."""
        place = {"region_name": self.region, "aws_access_key_id": self.account}
        return self.aws.client(service, **place, aws_secret_access_key=SECRET_KEY, **options)

    def deliver(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Puts events on the default bus there, as `EmbeddedAws.deliver` does."""
        return self.aws.deliver(events, account=self.account, region=self.region)


def end_all(state: Path) -> bool:
    """Ends whatever still runs from `state`, whole or not, and removes what it unpacked; says if any did."""
    running = [LocalProcess.recorded(state.absolute(), name) for name in reversed(PARTS)]
    for process in running:
        if process is not None:
            process.stop()
    (state / "processes" / "ports.json").unlink(missing_ok=True)
    shutil.rmtree(state / "scratch", ignore_errors=True)
    return any(running)


def client_environment(estate_url: str | None, codeartifact_url: str | None) -> dict[str, str]:
    """Credentials, region and the endpoints off the spine, for a client anywhere."""
    endpoints = {
        **dict.fromkeys(ESTATE_ENDPOINT_VARIABLES.values(), estate_url),
        CODEARTIFACT_ENDPOINT_VARIABLE: codeartifact_url,
    }
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": f"{HOST},localhost",
    } | {name: url for name, url in endpoints.items() if url}


def inherited_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of the caller's environment that a process of the embedded AWS may see."""
    return {name: environment[name] for name in INHERITED_VARIABLES if name in environment}


def spine_environment(
    port: int,
    *,
    estate_url: str | None,
    codeartifact_url: str | None,
    scratch: Path,
    enforce_iam: bool,
    wait_scale: float,
) -> dict[str, str]:
    """The environment of the spine, and through it of every function: ministack's workers inherit it."""
    return (
        inherited_environment()
        | client_environment(estate_url, codeartifact_url)
        | {
            "AUTH": "true" if enforce_iam else "false",
            # StartSyncExecution goes to "sync-" before its endpoint: no such name leads to a loopback.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            # No Docker socket there: ministack's sweep for old containers must not touch anybody's.
            "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "0",
            "PYTHONUNBUFFERED": "1",
            "SFN_WAIT_SCALE": str(wait_scale),
            "SFTP_ENABLED": "0",
            "TMPDIR": str(scratch),
        }
    )


def outside_environment(scratch: Path) -> dict[str, str]:
    """The environment of what stands beside the spine: moto with its guard, and CodeArtifact."""
    return (
        inherited_environment()
        | client_environment(None, None)
        | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch)}
    )


def answers(port: int, path: str) -> bool:
    """Whether `path` on that port of the loopback answers 200."""
    try:
        return _ask(port, "GET", path, timeout=2)[0] == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _open(port: int, method: str, path: str, document: object) -> dict[str, Any]:
    body = None if document is None else json.dumps(document)
    status, answer = _ask(port, method, path, body, timeout=60)
    if status != HTTPStatus.OK:
        raise ProcessError(f"{method} {path} was refused: {answer.decode(errors='replace')}")
    told: dict[str, Any] = json.loads(answer)
    return told


def _ask(port: int, method: str, path: str, body: str | None = None, *, timeout: float) -> tuple[int, bytes]:
    # Not urllib: it would ask the proxy of the caller's environment, which can't reach this loopback.
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _usable(port: int | None, name: str, variable: str, taken: frozenset[int]) -> int:
    if port is None:
        return free_port(taken)
    if not port_is_free(port):
        raise ProcessError(
            f"Port {port}, wanted for the {name}, is in use. Stop what listens there, or choose another: "
            f"{variable}=<port>."
        )
    return port


@cache
def _session() -> boto3.Session:
    # A profile named in the caller's environment would have to exist, and would bring its own settings.
    core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    core.set_config_variable("config_file", os.devnull)
    core.set_config_variable("credentials_file", os.devnull)
    core.set_credentials(ACCESS_KEY, SECRET_KEY)
    return boto3.Session(botocore_session=core, region_name=REGION)
