"""Who calls the API, as its IAM authorizer says. Pure.

Source: "Working with AWS Lambda proxy integrations for HTTP APIs", Amazon API Gateway Developer Guide.
"""

from collections.abc import Mapping
from typing import Any

from signalbox.documents.uploads.models import UploadError

IDENTITY_CENTER = "/AWSReservedSSO_"


def owner_of(context: Mapping[str, Any]) -> str:
    """Who a request's uploads belong to: the same as long as somebody's credentials are renewed.

    That is the IAM user or role, since whoever may assume a role chooses the name of the session, and many
    tools choose another one each time. Where AWS chooses it, each person or device is an owner: roles of IAM
    Identity Center, identities of a Cognito pool.

    Args:
        context: the event's ``requestContext``.

    Raises:
        UploadError: nobody is named: the route is open to all, which it must not be.
    """
    iam = (context.get("authorizer") or {}).get("iam") or {}
    identity = (iam.get("cognitoIdentity") or {}).get("identityId")
    caller = identity or iam.get("callerId") or iam.get("userId")
    if not caller:
        raise UploadError(
            403, "no-identity", "authorization", "the request must be signed (AWS Signature V4)"
        )
    if identity or IDENTITY_CENTER in (iam.get("userArn") or ""):
        return str(caller)
    return str(caller).partition(":")[0]
