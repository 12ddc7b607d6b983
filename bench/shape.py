"""What is asked of both algorithms: how many warnings, over which groups, within which request bucket."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Self

GROUPS = 10
SIZES = (100, 1_000, 5_000)
QUICK_SIZES = (100, 1_000)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: `size` requests at once, `refill` more a second."""

    size: int
    refill: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of ``50/5``. Raises ArgumentTypeError, saying what was expected."""
        size, _, refill = text.partition("/")
        if not (size.isdecimal() and refill.isdecimal() and int(size) and int(refill)):
            raise argparse.ArgumentTypeError(f"{text!r} is no bucket: write SIZE/REFILL, as in 50/5")
        return cls(int(size), int(refill))

    def seconds_for(self, requests: int) -> float:
        """The least time in which so many requests get through a bucket that is full at first."""
        return max(0.0, (requests - self.size) / self.refill)

    def admits_within(self, seconds: float) -> int:
        """The most requests that get through in that time."""
        return int(self.size + self.refill * seconds)

    def __str__(self) -> str:
        return f"{self.size}/{self.refill}"


BUCKETS = (Bucket(50, 5), Bucket(100, 10), Bucket(100, 20))
"""Auto Scaling's one bucket for all of its operations. AWS publishes no size: these are assumptions."""
QUICK_BUCKETS = (Bucket(100, 10),)
UNFILTERED = Bucket(50, 10)
"""EC2's bucket of a DescribeInstances without filter and page size ("Request throttling for the Amazon EC2
API")."""


def group_sizes(instances: int, groups: int = GROUPS) -> list[int]:
    """As even as it gets."""
    each, over = divmod(instances, groups)
    return [each + (number < over) for number in range(groups)]


def parse_size(text: str) -> int:
    """A number of warnings. Raises ArgumentTypeError, saying what was expected."""
    if not text.isdecimal() or not GROUPS <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is a number from {GROUPS} to 10000")
    return int(text)
