"""Why an execution fails, as its state machine hands it to the step that settles it."""

import msgspec


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step failed for good, as Step Functions tells it.

    Attributes:
        step: the name of the state.
        error: the class of this program's error, or one of Step Functions'.
    """

    step: str
    error: str
    cause: str = ""


def said(failure: Failure, most: int) -> str:
    """What a failure says to a person, in so many characters. Of a function, Step Functions has the error as
    JSON."""
    try:
        cause = msgspec.json.decode(failure.cause, type=_FunctionError).message
    except msgspec.MsgspecError:  # cut, or not of a function
        cause = failure.cause
    return f"{failure.step}: {failure.error}: {cause}"[:most]


class _FunctionError(msgspec.Struct):
    message: str = msgspec.field(name="errorMessage")
