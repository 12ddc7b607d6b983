"""Whose an upload is."""

from typing import Any

import pytest

from signalbox.documents.uploads.callers import owner_of
from signalbox.documents.uploads.models import UploadError

ROLE = "arn:aws:sts::123456789012:assumed-role"


@pytest.mark.parametrize(
    ("iam", "owner"),
    [
        ({"callerId": "AIDAJANE", "userArn": "arn:aws:iam::123456789012:user/jane"}, "AIDAJANE"),
        ({"callerId": "AROAX:botocore-session-1767", "userArn": f"{ROLE}/x/botocore-session-1767"}, "AROAX"),
        ({"callerId": "123456789012", "userArn": "arn:aws:iam::123456789012:root"}, "123456789012"),
        (
            {
                "callerId": "AROAX:jane@example.com",
                "userArn": f"{ROLE}/AWSReservedSSO_Dev_1/jane@example.com",
            },
            "AROAX:jane@example.com",
        ),
        (
            {
                "callerId": "AROAX:CognitoIdentityCredentials",
                "userArn": f"{ROLE}/x/CognitoIdentityCredentials",
                "cognitoIdentity": {"identityId": "us-east-1:1234", "amr": ["authenticated"]},
            },
            "us-east-1:1234",
        ),
        ({"callerId": None, "userId": "AIDAJANE", "userArn": None, "cognitoIdentity": None}, "AIDAJANE"),
    ],
)
def test_whose_an_upload_is(iam: dict[str, Any], owner: str) -> None:
    assert owner_of({"authorizer": {"iam": iam}}) == owner


def test_a_session_that_was_renewed_goes_on_with_its_uploads() -> None:
    sessions = (f"AROAX:session-{number}" for number in (1, 2))
    assert len({owner_of({"authorizer": {"iam": {"callerId": each}}}) for each in sessions}) == 1


def test_another_authorizers_word_is_not_taken() -> None:
    with pytest.raises(UploadError):
        owner_of({"authorizer": {"jwt": {"claims": {"sub": "jane"}}}})
