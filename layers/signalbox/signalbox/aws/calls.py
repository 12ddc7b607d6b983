"""AWS calls with this program's own errors: adapters never decide by message text."""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from signalbox.errors import (
    AccessDeniedError,
    ConflictError,
    NotFoundError,
    RefusedError,
    SignalboxError,
    ThrottledError,
    UnavailableError,
)

THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
CONFLICTS = frozenset(
    {"ConditionalCheckFailedException", "TransactionCanceledException", "TransactionConflictException"}
)
UNAVAILABLE = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceContention",
        "ResourceContentionFault",
        "ScalingActivityInProgress",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
    }
)


def call[**P, T](operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a boto3 operation.

    Raises:
        SignalboxError: what went wrong, as one of this program's kinds; the AWS code is in the message.
    """
    try:
        return operation(*args, **kwargs)
    except ClientError as error:
        raise translate(error) from error
    except BotoCoreError as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error


def code_of(error: BaseException | None) -> str:
    """The AWS error code behind an error of `call`, or ""."""
    cause = error.__cause__ if isinstance(error, SignalboxError) else error
    return cause.response.get("Error", {}).get("Code", "") if isinstance(cause, ClientError) else ""


def translate(error: ClientError) -> SignalboxError:
    """The kind of an AWS error, by its code and its HTTP status."""
    details = error.response.get("Error", {})
    code = details.get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = f"{error.operation_name}: {code}: {details.get('Message', '')}"
    if code in THROTTLED or status == 429:
        return ThrottledError(message)
    if code in DENIED:
        return AccessDeniedError(message)
    if code in CONFLICTS:
        return ConflictError(message)
    if code in UNAVAILABLE or status >= 500:
        return UnavailableError(message)
    if "NotFound" in code or code == "InvalidDocument":
        return NotFoundError(message)
    return RefusedError(message)
