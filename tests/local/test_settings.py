"""Ports and folders from the environment."""

import socket
from pathlib import Path

import pytest

from local.settings import FREE_PORTS, HOST, ROOT, LocalSettings, SettingsError, free_port, port_is_free


def test_without_variables_there_are_defaults() -> None:
    settings = LocalSettings.from_env({})
    assert (settings.spine_port, settings.estate_port, settings.codeartifact_port) == (4566, 4567, 4568)
    assert settings.env_file == ROOT / ".local" / "env"


def test_the_environment_decides() -> None:
    settings = LocalSettings.from_env(
        {
            "SIGNALBOX_SPINE_PORT": "5001",
            "SIGNALBOX_ESTATE_PORT": "5002",
            "SIGNALBOX_CODEARTIFACT_PORT": "5003",
            "SIGNALBOX_STATE": "/somewhere",
        }
    )
    assert settings == LocalSettings(5001, 5002, 5003, Path("/somewhere"))


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", "4566.0"])
def test_what_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match=f"SIGNALBOX_ESTATE_PORT is '{text}'"):
        LocalSettings.from_env({"SIGNALBOX_ESTATE_PORT": text})


@pytest.mark.parametrize("name", ["SIGNALBOX_ESTATE_PORT", "SIGNALBOX_CODEARTIFACT_PORT"])
def test_two_servers_on_one_port_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"SIGNALBOX_SPINE_PORT and {name} are both 4566"):
        LocalSettings.from_env({name: "4566"})


def test_a_free_port_is_free_until_somebody_listens() -> None:
    port = free_port()
    assert port in FREE_PORTS
    assert port_is_free(port)
    with socket.socket() as server:
        server.bind((HOST, port))
        server.listen()
        assert not port_is_free(port)


def test_a_taken_port_is_not_offered() -> None:
    kept = FREE_PORTS[0]
    ports = frozenset(FREE_PORTS) - {kept}
    if not port_is_free(kept):
        pytest.skip(f"somebody listens on {kept}")
    assert free_port(ports) == kept
