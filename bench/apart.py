"""Measuring in a process of its own, so that its memory is that of what is measured."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from local.settings import ROOT

MEASURE_SECONDS = 120.0


def measured_apart[T](kind: type[T], module: str, *numbers: int) -> T:
    """What the module says as JSON, run with these numbers."""
    done = subprocess.run(  # noqa: S603 - a module of this project, with numbers
        [sys.executable, "-m", module, *map(str, numbers)],
        capture_output=True,
        check=True,
        text=True,
        timeout=MEASURE_SECONDS,
        cwd=ROOT,
    )
    return msgspec.json.decode(done.stdout, type=kind)
