"""Removes a preview stack with all that it would leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.stacks import StackError
from signalbox.aws.calls import call
from signalbox.errors import ConflictError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAG = ("stage", "preview")
BUCKET = "AWS::S3::Bucket"
KEY_DAYS = 7
"""How long AWS keeps a key that is to go, at least."""
PATIENCE = {"Delay": 10, "MaxAttempts": 180}


def remove(clients: Callable[[str], Any], stack: str) -> None:
    """Deletes the stack, then its tables, queues, buckets and keys: the template retains them for stacks that
    matter. What is in the buckets goes with them.

    Raises:
        StackError: it is no preview.
    """
    cloudformation = clients("cloudformation")
    [found] = call(cloudformation.describe_stacks, StackName=stack)["Stacks"]
    if TAG not in {(tag["Key"], tag["Value"]) for tag in found.get("Tags", [])}:
        raise StackError(
            f"{stack} has no tag {'='.join(TAG)}: only previews are removed. See docs/deployment.md."
        )
    kept = list(_retained(cloudformation, stack))
    print(f"Deleting {stack}; then {', '.join(name for _, name in kept)}")
    call(cloudformation.delete_stack, StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=found["StackId"], WaiterConfig=PATIENCE)
    for kind, name in kept:
        _delete(clients, kind, name)
    print(f"{stack} is gone; its key goes in {KEY_DAYS} days.")


def _retained(cloudformation: Any, stack: str) -> Iterator[tuple[str, str]]:
    """Type and name, the keys last: without its key a table can't even be looked at."""
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    found = [
        (each["ResourceType"], each["PhysicalResourceId"])
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] in DELETIONS
    ]
    yield from sorted(found, key=lambda each: list(DELETIONS).index(each[0]))


def _delete(clients: Callable[[str], Any], kind: str, name: str) -> None:
    service, operation, argument, more = DELETIONS[kind]
    try:
        if kind == BUCKET:
            _empty(clients(service), name)
        call(getattr(clients(service), operation), **{argument: name}, **more)
    except NotFoundError:
        return  # it went with the stack
    except (ConflictError, RefusedError) as error:
        print(f"{name} is still there: {error}")
    else:
        print(f"{name} deleted")


def _empty(s3: Any, bucket: str) -> None:
    """Of every version: only an empty bucket can be deleted."""
    given: dict[str, Any] = {"Bucket": bucket}
    while True:
        page = call(s3.list_object_versions, **given)
        listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]
        if objects:
            call(s3.delete_objects, Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if not page["IsTruncated"]:
            return
        given |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


DELETIONS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "AWS::DynamoDB::Table": ("dynamodb", "delete_table", "TableName", {}),
    "AWS::SQS::Queue": ("sqs", "delete_queue", "QueueUrl", {}),
    BUCKET: ("s3", "delete_bucket", "Bucket", {}),
    "AWS::KMS::Key": ("kms", "schedule_key_deletion", "KeyId", {"PendingWindowInDays": KEY_DAYS}),
}
