"""examples/instance-watcher/watch_interruption.py, imported from its file: its folder is no package."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "instance-watcher"
PROGRAM = FOLDER / "watch_interruption.py"


def _load() -> Any:
    spec = spec_from_file_location("watch_interruption", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


watch_interruption = _load()
