"""What AWS does and moto does not, put into moto for as long as the estate runs."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.estate.classic import classic_semantics
from local.estate.commands import command_semantics
from local.estate.comprehend import comprehend_semantics
from local.estate.containers import container_semantics
from local.estate.groups import group_semantics
from local.estate.hooks import hook_semantics
from local.estate.images import image_semantics
from local.estate.instances import instance_semantics
from local.estate.replacing import Replacements
from local.estate.scans import scan_semantics
from local.estate.stored import NoStorage
from local.estate.targets import target_semantics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.estate.buckets import Clock
    from local.estate.stored import Storage


@contextmanager
def aws_semantics(clock: Clock = time.monotonic, storage: Storage | None = None) -> Iterator[None]:
    """Within this context moto, in the whole process, behaves as the modules named above say.

    Deregistration delays and connection draining pass on `clock` (seconds, monotonic). Images and scans are
    read from `storage`; without one there are none.
    """
    with Replacements() as replacements:
        instance_semantics(replacements)
        target_semantics(replacements, clock)
        group_semantics(replacements)
        classic_semantics(replacements, clock)
        command_semantics(replacements)
        container_semantics(replacements)
        hook_semantics(replacements)
        comprehend_semantics(replacements)
        image_semantics(replacements, storage or NoStorage())
        scan_semantics(replacements, storage or NoStorage())
        yield
