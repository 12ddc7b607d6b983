"""How much memory this process has needed."""

from __future__ import annotations

import resource
from pathlib import Path


def peak_bytes() -> int:
    """The most that it has had at once.

    From /proc where there is one: getrusage also counts the parent's memory until the exec.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024
