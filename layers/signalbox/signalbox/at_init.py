"""What a function does before its first event, in Lambda's INIT phase: whatever that event would need anyway.

An invocation with 512 MB has less than a third of a core; INIT has more. Both are billed alike. Why so, and
what SnapStart would change: docs/adr/0017-how-functions-start.md.
"""

import gc
import os
from collections.abc import Callable

INITIALIZING = "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ

if INITIALIZING:
    gc.disable()  # what is imported and wired stays: looking for what of it is garbage takes a tenth of INIT


def at_init[**P](wire: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Calls it in Lambda. Elsewhere importing a handler costs nothing, and a test wires it as it likes."""
    if INITIALIZING:
        wire(*args, **kwargs)
        gc.freeze()
        gc.enable()
