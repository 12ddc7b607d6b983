"""What the builds of a release cost in calls: 200 in 3 waves, 20 at once. Nobody asks how they are."""

from collections import Counter
from itertools import batched
from typing import Any

import pytest

from signalbox.packages.entries import Step
from signalbox.packages.releases import State
from tests.unit.packages.building_site import Site

AT_ONCE = 20
WAVES = tuple([f"p{wave}-{n:03}" for n in range(many)] for wave, many in enumerate((120, 60, 20)))


class Counted:
    """Counts the calls of what stands behind it; of the ledger, what it read and wrote."""

    def __init__(self, each: object, calls: Counter[str]) -> None:
        self._each = each
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._each, name)

        def counted(*args: Any) -> Any:
            self._calls[name] += len(args[0]) if name == "put_records" else 1
            return method(*args)

        return counted


def calls_with(ends_a_batch: int) -> Counter[str]:
    """The calls of the whole build; the ends of so many builds come in one batch."""
    calls: Counter[str] = Counter()
    site = Site(*WAVES, at_most=AT_ONCE, seen=lambda each: Counted(each, calls))
    step = Step.BUILD
    while step is Step.BUILD:
        task = site.task()
        site.build(task)
        while task.token in site.tokens.waiting:
            site.now += 60
            for batch in batched(site.end(), ends_a_batch, strict=False):
                site.admit(*batch)
        step = Step(site.tokens.answered[task.token]["next"])
    assert (step, site.release.state) == (Step.PROMOTE, State.READY)
    return calls


@pytest.mark.parametrize("ends_a_batch", [1, 10], ids=["one by one", "in full batches"])
def test_calls_of_200_builds_in_3_waves(ends_a_batch: int) -> None:
    builds, waves = sum(map(len, WAVES)), len(WAVES)
    batches = builds // ends_a_batch
    starting = (builds - waves * AT_ONCE) // ends_a_batch  # batches that make room for other builds
    assert dict(calls_with(ends_a_batch)) == {
        "start": builds,
        "succeed": waves,
        # A batch: what its builds are for, the release; the release again where it starts others. The step:
        # the release three times. Then, that nobody waits any more.
        "records": 2 * batches + starting + 3 * waves + waves,
        # What a build is for. A batch: the ends and the claims, what was started. The step likewise.
        "put_records": builds + batches + starting + 2 * waves + waves,
    }
