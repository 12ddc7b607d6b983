"""Runs a module as `python -m` would, and ends it when the process that started it is gone.

The parent keeps the write end of our standard input. However it ends, even by SIGKILL, the kernel closes it,
reading meets the end of the file, and we take our leave. Works on every POSIX system and needs no
co-operation of the module.

    python -m local.tether local.spine --port 4566 …
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

GRACE_SECONDS = 5.0


def end_with_parent() -> None:
    """Blocks until standard input ends, then sends SIGTERM to this process, and ends it if that didn't."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)
    os._exit(1)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m local.tether MODULE [ARGUMENT…]")
    threading.Thread(target=end_with_parent, daemon=True, name="tether").start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
