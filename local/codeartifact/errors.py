"""What CodeArtifact answers instead of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from http import HTTPStatus


class ServiceError(Exception):
    """An error as a client sees it.

    `code` is the exception's name in the service model, or one that every AWS service may answer; `status` is
    only for the latter, the model has the former's. `members` are the other members of the exception.
    """

    def __init__(
        self, code: str, message: str, *, status: HTTPStatus | None = None, **members: str | int
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members: dict[str, Any] = members


def invalid(message: str, reason: str = "FIELD_VALIDATION_FAILED") -> ServiceError:
    """400: the request makes no sense, whatever there is."""
    return ServiceError("ValidationException", message, reason=reason)


def not_found(message: str, resource_id: str, resource_type: str) -> ServiceError:
    """404: `resource_type` is domain, repository, package, package-version or asset."""
    return ServiceError(
        "ResourceNotFoundException", message, resourceId=resource_id, resourceType=resource_type
    )


def conflict(message: str, resource_id: str, resource_type: str) -> ServiceError:
    """409: what there is stands in the way."""
    return ServiceError("ConflictException", message, resourceId=resource_id, resourceType=resource_type)


def quota_exceeded(message: str, resource_id: str, resource_type: str) -> ServiceError:
    """402: one more than AWS allows."""
    return ServiceError(
        "ServiceQuotaExceededException", message, resourceId=resource_id, resourceType=resource_type
    )


def denied(caller: str, action: str, resource: str, reason: str) -> ServiceError:
    """403: who, which action, on what, and why not."""
    return ServiceError(
        "AccessDeniedException",
        f"User: {caller} is not authorized to perform: {action} on resource: {resource} {reason}",
    )
