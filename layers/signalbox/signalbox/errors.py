"""The errors that this program raises on purpose.

Step Functions matches the concrete class name in ``ErrorEquals``, so a class that a state machine
names must keep its name.
"""


class SignalboxError(Exception):
    """The root of every error raised on purpose; ``code`` is stable and goes into records and metrics."""

    code = "error"


class TransientError(SignalboxError):
    """Worth trying again, unchanged, a little later."""

    code = "transient"


class ThrottledError(TransientError):
    """AWS refused the call because a request limit was reached."""

    code = "throttled"


class NotBegunError(ThrottledError):
    """Throttled at the one call that has an effect: the next try need not look what became of this one."""


class BuildsHeldBackError(ThrottledError):
    """Builds are due, and can't be started for now. The message says why."""


class UnavailableError(TransientError):
    """AWS failed or did not answer. The call may have had its effect all the same."""

    code = "unavailable"


class ExecutionFailedError(TransientError):
    """An execution that was waited for ended without success. The message has its own error and cause."""

    code = "execution-failed"


class RejectedError(SignalboxError):
    """Bad input. Says what is wrong and where; trying again will not help.

    Args:
        code: stable and lower case, as in ``unknown-action``.
        where: the place in the input, as in ``$.detail.instance-action``.
        what: what is wrong, and what was expected instead.
    """

    def __init__(self, code: str, where: str, what: str) -> None:
        super().__init__(f"{what} - at `{where}`")
        self.code = code
        self.where = where
        self.what = what


class RefusedError(SignalboxError):
    """AWS refused the call for good: the input does not fit the state of the resource."""

    code = "refused"


class AccessDeniedError(RefusedError):
    """The role lacks a permission. The message names role, action and resource as AWS reported them."""

    code = "access-denied"


class MemberClosedError(AccessDeniedError):
    """Another account or Region does not let this program in. The message says which, and what to do."""

    code = "member-closed"


class NotFoundError(RefusedError):
    """The resource that the call names does not exist."""

    code = "not-found"


class ConflictError(SignalboxError):
    """Somebody else was first. Read again and decide afresh."""

    code = "conflict"


class InvariantError(SignalboxError):
    """A bug: something that the program promises does not hold."""

    code = "invariant"
