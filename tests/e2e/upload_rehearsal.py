"""What the upload API's role is for, done once: an upload that is completed twice, another aborted."""

import json
from typing import TYPE_CHECKING, Any

import requests

from signalbox.deployment.probing import PROBE
from signalbox.documents.uploads.models import record_of, upload_key, upload_of

if TYPE_CHECKING:
    from tests.e2e.rehearsals import Stage

FUNCTION = "DocumentsManageUploadsFunction"
HEAD_REFUSED = "HeadObject: 403"
"""S3 answers a HEAD without a body: which action was lacking it does not say."""


def manage_uploads(stage: "Stage") -> str:
    """Begins, signs, sends, looks, completes; again, as if nobody had noted it; and aborts another."""
    said = [stage.invoke(FUNCTION, {PROBE: "rehearsal"})]
    upload = ask(stage, said, "POST /uploads", body={"name": "empty", "size": 0}).get("id", "")
    page = ask(stage, said, "GET /uploads/{id}/parts", upload)
    said += [requests.put(part["url"], data=b"", timeout=10).text for part in page.get("parts", [])]
    ask(stage, said, "GET /uploads/{id}", upload)
    ask(stage, said, "POST /uploads/{id}/complete", upload)
    forget_completion(stage, upload)
    ask(stage, said, "POST /uploads/{id}/complete", upload)
    other = ask(stage, said, "POST /uploads", body={"name": "empty", "size": 0}).get("id", "")
    ask(stage, said, "DELETE /uploads/{id}", other)
    told = "\n".join(said)
    return told.replace(HEAD_REFUSED, f"{HEAD_REFUSED}: not authorized to perform: s3:GetObject it seems")


def ask(stage: "Stage", said: list[str], route: str, upload: str = "", body: Any = None) -> dict[str, Any]:
    """One request, as API Gateway hands it on; what is answered, if that is JSON."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "requestContext": {"authorizer": {"iam": {"callerId": "AIDAREHEARSAL"}}},
        "pathParameters": {"id": upload},
        "body": json.dumps(body) if body is not None else None,
    }
    said.append(stage.invoke(FUNCTION, event))
    answer = json.loads(said[-1].partition("\n")[0])
    found: dict[str, Any] = json.loads(answer["body"]) if "body" in answer else {}
    return found


def forget_completion(stage: "Stage", upload_id: str) -> None:
    """Has the ledger say that the upload is open: as if its completion had been answered to nobody."""
    ledger = stage.stack.ledger
    found = ledger.records([upload_key(upload_id)]).get(upload_key(upload_id))
    if found is not None:
        fields = {**found.body, "state": "open", "etag": "", "version_id": "", "checksum": ""}
        again = upload_of(type(found)(found.key, fields, found.version))
        assert not ledger.put_records([record_of(again, found.version)])
