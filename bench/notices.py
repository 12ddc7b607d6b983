"""The storm itself: who is warned when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from signalbox.spot.notices import NOTICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SECONDS = 5


def spread(instances: Sequence[str], hand_over: Callable[[Sequence[str], float], None]) -> dict[str, float]:
    """Warns of a fifth of the instances each second, of every group alike; instance → when.

    `hand_over` gets the instances and the time, in seconds since 1970. Where it takes longer than a second
    the next fifth comes late.
    """
    began = time.time()
    noticed: dict[str, float] = {}
    for second in range(SECONDS):
        time.sleep(max(0.0, began + second - time.time()))
        part, now = instances[second::SECONDS], time.time()
        noticed |= dict.fromkeys(part, now)
        hand_over(part, now)
    return noticed


def deadlines(noticed: Mapping[str, float]) -> dict[str, float]:
    """When EC2 takes each: an event is dated in whole seconds."""
    return {instance: int(at) + NOTICE_SECONDS for instance, at in noticed.items()}
