import json
from typing import Any

import pytest

from signalbox.errors import RejectedError
from signalbox.eventbridge import parse_envelope
from signalbox.packages.events import RETRY_REQUESTED, Change, Request, parse_event
from tests.unit.packages.fake_codeartifact import ACCOUNT, DOMAIN, NOON, TEAM, version_event, version_of

UI, PLAIN = version_of("npm/acme/ui/1.0.0"), version_of("npm//ui/1.0.0")


def parsed(event: dict[str, Any]) -> Change | Request:
    return parse_event(parse_envelope(json.dumps(event)))


def with_detail(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return event | {"detail": event["detail"] | changes}


def retry(**detail: Any) -> dict[str, Any]:
    asked = {"release": UI.key, "round": 1, "tries": 0, **detail}
    own = {"source": "signalbox.operations", "detail-type": RETRY_REQUESTED, "detail": asked}
    return version_event(UI) | own


def test_a_version_that_has_changed() -> None:
    assert parsed(version_event(UI, sequence=7, id_="abc=")) == Change(
        version=UI, domain=DOMAIN, owner=ACCOUNT, repository=TEAM, sequence=7, id="abc=", occurred_at=NOON
    )


def test_a_namespace_that_is_null_or_missing_is_none() -> None:
    event = version_event(PLAIN)
    assert event["detail"]["packageNamespace"] is None
    del event["detail"]["packageNamespace"]
    for each in (event, version_event(PLAIN)):
        told = parsed(each)
        assert isinstance(told, Change)
        assert told.version == PLAIN


def test_what_aws_may_add_is_passed_over() -> None:
    assert parsed(with_detail(version_event(UI), packageGroup="/npm/*", changes=None)) == parsed(
        version_event(UI)
    )


def test_another_try_that_somebody_asks_for() -> None:
    for acts in (False, True):
        asked = parsed(retry(acts=acts, tries=3))
        assert asked == Request(release=UI.key, round=1, tries=3, acts=acts, occurred_at=NOON)


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"packageFormat": "swift"}, "unknown-format", "$.detail.packageFormat"),
        ({"packageFormat": "pypi"}, "unexpected-namespace", "$.detail.packageNamespace"),
        (
            {"packageFormat": "maven", "packageNamespace": None},
            "missing-namespace",
            "$.detail.packageNamespace",
        ),
        ({"packageName": "u i"}, "malformed-name", "$.detail.packageName"),
        ({"packageName": None}, "malformed", "$.detail.packageName"),
        ({"packageVersion": "1/0"}, "malformed-version", "$.detail.packageVersion"),
        ({"operationType": "Moved"}, "malformed", "$.detail.operationType"),
        ({"sequenceNumber": "7"}, "malformed", "$.detail.sequenceNumber"),
        ({"sequenceNumber": 0}, "malformed", "$.detail.sequenceNumber"),
        ({"eventDeduplicationId": ""}, "malformed", "$.detail.eventDeduplicationId"),
    ],
)
def test_a_bad_event_is_named_with_its_place(changes: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        parsed(with_detail(version_event(UI), **changes))
    assert (rejected.value.code, rejected.value.where) == (code, where)


@pytest.mark.parametrize(
    ("detail", "code", "where"),
    [
        ({"release": "npm/acme/ui"}, "malformed-key", "$.detail.release"),
        ({"release": "swift/acme/ui/1.0.0"}, "unknown-format", "$.detail.release"),
        ({"round": "1"}, "malformed", "$.detail.round"),
        ({"acts": "yes"}, "malformed", "$.detail.acts"),
    ],
)
def test_a_bad_request_is_named_with_its_place(detail: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        parsed(retry(**detail))
    assert (rejected.value.code, rejected.value.where) == (code, where)


def test_what_is_no_event_of_this_domain_is_refused() -> None:
    with pytest.raises(RejectedError, match=r"aws\.s3"):
        parsed(version_event(UI) | {"source": "aws.s3"})
