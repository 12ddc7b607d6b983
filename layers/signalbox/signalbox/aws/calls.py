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
DENIED = frozenset(
    {"403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
)
CONFLICTS = frozenset(
    {
        "412",
        "ConditionalCheckFailedException",
        "ConditionalRequestConflict",
        "PreconditionFailed",
        "TransactionCanceledException",
        "TransactionConflictException",
    }
)
MISSING = frozenset({"404", "InvalidDocument", "NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion"})
"""S3 answers a HEAD without a body: its code is the HTTP status."""
KEY_SERVICE = "KMS."
"""How S3 passes on what KMS said: of a key that is not found, while the object is there; of its limits."""
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
    if code.removeprefix(KEY_SERVICE) in THROTTLED or status == 429:
        return ThrottledError(message)
    if code in DENIED:
        return AccessDeniedError(message)
    if code in CONFLICTS:
        return ConflictError(message)
    if code in UNAVAILABLE or status >= 500:
        return UnavailableError(message)
    if code in MISSING or ("NotFound" in code and not code.startswith(KEY_SERVICE)):
        return NotFoundError(message)
    return RefusedError(message)
