"""What a build finds beside the tools of this machine: Python 3.13 and the AWS CLI, pinned."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "image"
"""Where it lies in the scratch folder."""
AWS_CLI = "awscli==1.46.3"
# For these the AWS CLI 1 has hosts of its own, which go before AWS_ENDPOINT_URL.
STUBBORN = ("docdb", "emr", "health", "neptune", "rds", "sqs")
# How uv reaches a package index, and where it keeps what it has fetched.
UV_SETTINGS = ("UV_", "SSL_CERT_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def write_image(folder: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Puts `aws` into `folder`. It is fetched on first use, with the caller's settings of uv.

    In an environment of its own, as the SAM CLI is: its pins and ministack's exclude each other.
    """
    folder.mkdir(parents=True)
    settings = {name: value for name, value in environment.items() if name.upper().startswith(UV_SETTINGS)}
    cache = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '')}/.cache"
    beside = ",".join(filter(None, [environment.get("NO_PROXY"), HOST, "localhost"]))
    settings = {"UV_CACHE_DIR": f"{cache}/uv", **settings, "NO_PROXY": beside}
    python = Path(sys.executable)
    tool = [str(python.with_name("uvx")), "--quiet", "--python", str(python), "--from", AWS_CLI, "aws"]
    given = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    stubborn = "|".join(f'*" {service} "*' for service in STUBBORN)
    host = '--endpoint-url "$AWS_ENDPOINT_URL"'
    command = folder / "aws"
    command.touch(mode=0o700)
    command.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" --endpoint-url"*) ;; {stubborn}) set -- {host} "$@" ;; esac\n'
        f'{" ".join(given)} exec {shlex.join(tool)} "$@"\n'
    )


def path(image: Path, inherited: str) -> str:
    """PATH of a build."""
    return os.pathsep.join([str(image), str(Path(sys.executable).parent), inherited])
