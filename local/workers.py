"""How many workers a function has at once: as many as there are cores, where AWS has one for each event.

ministack starts a worker for every invocation that finds none free. A worker takes a core for a second until
it is warm; dozens at once, as after a burst of objects, take so long that steps run into their timeouts.
So an invocation waits a while for a worker to be free, before another one is started.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from ministack.services import lambda_svc

MOST = max(2, os.cpu_count() or 2)
LONGEST_WAIT_SECONDS = 10.0
"""Whoever waits for somebody who waits for him goes on after it."""


def install() -> None:
    """Has ministack wait for a worker that is warm already. Invocations run in threads of their own."""
    acquire, release = lambda_svc.acquire_worker, lambda_svc.release_worker
    freed = threading.Condition()

    def acquired(func_name: str, config: dict[str, Any], code_zip: bytes, **options: Any) -> Any:
        give_up_at = time.monotonic() + LONGEST_WAIT_SECONDS
        with freed:
            while (left := give_up_at - time.monotonic()) > 0:
                worker, how = acquire(func_name, config, code_zip, **options, max_concurrency=MOST)
                if worker is not None:
                    return worker, how
                freed.wait(left)
        return acquire(func_name, config, code_zip, **options)

    def released(worker: Any) -> None:
        release(worker)
        with freed:
            freed.notify_all()

    lambda_svc.acquire_worker, lambda_svc.release_worker = acquired, released
