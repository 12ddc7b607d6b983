"""Where the embedded AWS lives: folders, ports, region, account. Read from the environment once."""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "123456789012"
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105 - both emulators take any word; there is nothing to protect
SPINE_PORT = 4566
ESTATE_PORT = 4567
CODEARTIFACT_PORT = 4568
PORT_VARIABLES = {
    "SIGNALBOX_SPINE_PORT": SPINE_PORT,
    "SIGNALBOX_ESTATE_PORT": ESTATE_PORT,
    "SIGNALBOX_CODEARTIFACT_PORT": CODEARTIFACT_PORT,
}
# Below the range from which the operating system takes the ports of outgoing connections.
FREE_PORTS = range(20_000, 32_000)


class SettingsError(ValueError):
    """A variable of the environment that can't be used."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What `make up`, `send`, `status` and `down` must agree on.

    `state` is the folder that holds everything of one running copy: process records, logs, scratch space.
    """

    spine_port: int = SPINE_PORT
    estate_port: int = ESTATE_PORT
    codeartifact_port: int = CODEARTIFACT_PORT
    state: Path = ROOT / ".local"

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises SettingsError, naming the variable, for a port that isn't one."""
        ports = {name: _port(environment, name, default) for name, default in PORT_VARIABLES.items()}
        for first, second in combinations(ports, 2):
            if ports[first] == ports[second]:
                raise SettingsError(
                    f"{first} and {second} are both {ports[first]}: set one of them to another port"
                )
        return cls(
            spine_port=ports["SIGNALBOX_SPINE_PORT"],
            estate_port=ports["SIGNALBOX_ESTATE_PORT"],
            codeartifact_port=ports["SIGNALBOX_CODEARTIFACT_PORT"],
            state=Path(environment.get("SIGNALBOX_STATE") or ROOT / ".local").absolute(),
        )

    @property
    def env_file(self) -> Path:
        return self.state / "env"


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise SettingsError(
            f"{name} is {text!r}: set it to a port number (1-65535), or unset it for {default}"
        )
    return int(text)


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A port of HOST nobody listens on at this moment, none of `taken`."""
    candidates = [port for port in FREE_PORTS if port not in taken]
    random.shuffle(candidates)
    for port in candidates:
        if port_is_free(port):
            return port
    raise SettingsError(f"no free port between {FREE_PORTS.start} and {FREE_PORTS.stop} on {HOST}")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on `port` of HOST now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
