"""What runs in the process of its own: converts one file, within limits that it sets itself first of all.

It is started as a file, knows nothing but its request, and leaves files in its folder: the batches, what it
came to, and a mark that it was ready to begin. Until `_confine` has run, nothing of a document is touched.
"""

import errno
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

BATCHES = "batches.jsonl.gz"
RESULT = "result.json"
PAGES = "pages"
READY = "ready"

OUT_OF_MEMORY = 71
OUT_OF_ROOM = 74
NOT_READY = 78
"""An exit status: a library can't be imported, which says nothing of the document."""


def main() -> None:
    """Converts what the request on standard input names."""
    request = json.load(sys.stdin)
    _confine(request["source"]["limits"])
    sys.path[:] = request["path"]
    try:
        from signalbox.documents.conversion.running import run  # noqa: PLC0415 - its path is in the request

        Path(READY).touch()
        run(request["source"])
    except ImportError as error:
        _leave(NOT_READY, str(error))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # at once: whatever else is done may need memory
    except OSError as error:
        _leave(OUT_OF_ROOM if error.errno == errno.ENOSPC else NOT_READY, str(error))


def _leave(status: int, why: str) -> None:
    os.write(2, why.encode(errors="replace"))
    os._exit(status)


def _confine(limits: dict[str, Any]) -> None:
    seconds = int(limits["seconds"]) + 1
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, limits["file_bytes"])
    _limit(
        resource.RLIMIT_CPU, seconds, seconds + 1
    )  # a signal of its own at the first, the end at the second
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_NPROC, 0)  # it starts nothing that could outlive it; root is not bound by this
    _limit(resource.RLIMIT_CORE, 0)


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    allowed = resource.getrlimit(kind)[1]
    most = soft if hard is None else hard
    if allowed != resource.RLIM_INFINITY:
        most = min(most, allowed)
    resource.setrlimit(kind, (min(soft, most), most))


if __name__ == "__main__":
    main()
