"""The ledger on DynamoDB: one table, keys ``pk`` and ``sk``, TTL on ``expires_at``.

| pk | sk | what |
|---|---|---|
| ``WINDOWS#<domain>`` | ``<account>#<region>`` | the newest window of a key |
| ``WINDOW#<domain>#<account>#<region>#<number>`` | ``SEGMENT#<id>`` | what one intake batch added |
| | ``CONTENTS`` | the ids of the segments that count |
| | ``ACTION#<plan>#<kind>#<n>`` | one action |
| | ``DECISIONS#<plan>#<n>`` | decisions with reasons, some hundred an item |
| | ``PLAN`` | the committed plan |
| | ``GIVEN_UP`` | nothing more is tried for the window |
| ``RECORD#<key>`` | ``CURRENT`` | a versioned document |
| ``REJECTIONS#<domain>#<day>`` | ``<id>`` | bad input |
| ``DEFERRALS#<domain>`` | ``<id>`` | what is due later |

What nobody queries by lies in one JSON string, ``body``: one attribute is far cheaper to (de)serialise
than a nested map, and a person can still read it in the console.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import msgspec

from signalbox.aws.calls import call
from signalbox.clock import Clock, iso
from signalbox.errors import ConflictError, ThrottledError
from signalbox.ledger.actions import Action, Deviation, Result, Verdict
from signalbox.ledger.deferrals import Deferral
from signalbox.ledger.records import Plan, Record, Rejection
from signalbox.ledger.windows import Pointer, Segment, Window, WindowKey

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = Mapping[str, Any]

GET_BATCH = 100  # BatchGetItem, DynamoDB Developer Guide, "Quotas"
WRITE_BATCH = 25  # BatchWriteItem, ditto
TRANSACTION = 100  # TransactWriteItems, ditto
DECISIONS_PER_ITEM = 500  # some 300 bytes each: well below the 400 KB of an item
UNPROCESSED_ATTEMPTS = 5
RETENTION_SECONDS = 30 * 86_400.0

_DEVIATIONS = msgspec.json.Decoder(dict[str, Deviation])
_DEFERRAL = msgspec.json.Decoder(Deferral)
_VERDICT = msgspec.json.Decoder(Verdict)
_ACTION = msgspec.json.Decoder(Action)
_PLAN = msgspec.json.Decoder(Plan)


class DynamoLedger:
    """Every store of `signalbox.ledger` on one table.

    Args:
        dynamodb: a low-level client.
        table: its name.
        clock: seconds since 1970.
        retention: seconds after which DynamoDB may drop what is written now; the windows' pointers stay.
    """

    def __init__(
        self, dynamodb: "DynamoDBClient", table: str, clock: Clock, *, retention: float = RETENTION_SECONDS
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock = clock
        self._retention = retention

    # Windows

    def pointer(self, key: WindowKey) -> Pointer | None:
        answer = call(
            self._dynamodb.get_item, TableName=self._table, Key=_pointer_key(key), ConsistentRead=True
        )
        return _pointer(answer["Item"]) if "Item" in answer else None

    def pointers(self, domain: str) -> list[tuple[WindowKey, Pointer]]:
        found = []
        for item in self._query(f"WINDOWS#{domain}"):
            account, _, region = item["sk"]["S"].partition("#")
            found.append((WindowKey(domain, account, region), _pointer(item)))
        return found

    def open_next(self, key: WindowKey, after: Pointer | None, now: float) -> bool:
        number = after.number if after else 0
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item={
                    **_pointer_key(key),
                    "number": {"N": str(number + 1)},
                    "open": {"BOOL": True},
                    "opened_at": {"N": repr(now)},
                    "started": {"BOOL": False},
                    "swept": {"N": str(after.swept if after else 0)},
                },
                ConditionExpression="#number = :number" if after else "attribute_not_exists(pk)",
                **_names_and_values("#number", number) if after else {},
            )
        except ConflictError:
            return False
        return True

    def mark_started(self, window: Window) -> None:
        self._change_pointer(window, "SET started = :value", value=True)

    def close(self, window: Window) -> None:
        self._change_pointer(window, "SET #open = :value", value=False)

    def _change_pointer(self, window: Window, update: str, *, value: bool) -> None:
        names = {"#number": "number"} | ({"#open": "open"} if "#open" in update else {})
        try:
            call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=_pointer_key(window.key),
                UpdateExpression=update,
                ConditionExpression="#number = :number",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={
                    ":value": {"BOOL": value},
                    ":number": {"N": str(window.number)},
                },
            )
        except ConflictError:
            return  # a newer window is open: this one is closed for good

    def unfinished(self, windows: Sequence[Window]) -> set[Window]:
        keys = [
            {"pk": {"S": f"WINDOW#{window}"}, "sk": {"S": sk}}
            for window in windows
            for sk in ("PLAN", "GIVEN_UP")
        ]
        finished = {
            item["pk"]["S"]
            for part in batched(keys, GET_BATCH, strict=False)
            for item in self._get(list(part))
            if item["sk"]["S"] == "GIVEN_UP" or "settled" in item
        }
        return {window for window in windows if f"WINDOW#{window}" not in finished}

    def give_up(self, window: Window) -> bool:
        key = {"pk": {"S": f"WINDOW#{window}"}, "sk": {"S": "GIVEN_UP"}}
        return self._put_new({**key, "at": {"N": repr(self._clock())}, **self._expiry()})

    def note_swept(self, key: WindowKey, number: int) -> None:
        try:
            call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=_pointer_key(key),
                UpdateExpression="SET swept = :number",
                ConditionExpression="attribute_exists(pk)"
                " AND (attribute_not_exists(swept) OR swept < :number)",
                ExpressionAttributeValues={":number": {"N": str(number)}},
            )
        except ConflictError:
            return  # another sweep is further

    def append(self, window: Window, segment: Segment) -> None:
        item = {
            "pk": {"S": f"WINDOW#{window}"},
            "sk": {"S": f"SEGMENT#{segment.id}"},
            "body": {"S": _json(segment.entries)},
            # Long before the plan: a window whose plan is gone must have nothing left to plan again.
            **self._expiry(self._retention / 2),
        }
        call(self._dynamodb.put_item, TableName=self._table, Item=item)

    def segments(self, window: Window) -> list[Segment]:
        return [
            Segment(item["sk"]["S"].removeprefix("SEGMENT#"), tuple(msgspec.json.decode(item["body"]["S"])))
            for item in self._query(f"WINDOW#{window}", "SEGMENT#")
        ]

    def note_contents(self, window: Window, segments: Sequence[str]) -> tuple[str, ...]:
        key = {"pk": {"S": f"WINDOW#{window}"}, "sk": {"S": "CONTENTS"}}
        if self._put_new({**key, "body": {"S": _json(segments)}, **self._expiry()}):
            return tuple(segments)
        answer = call(self._dynamodb.get_item, TableName=self._table, Key=key, ConsistentRead=True)
        return tuple(msgspec.json.decode(answer["Item"]["body"]["S"]))

    # Actions

    def actions(self, window: Window, plan: str, kind: str | None = None) -> list[Action]:
        prefix = f"ACTION#{plan}#{kind}#" if kind else f"ACTION#{plan}#"
        return [_action(item) for item in self._query(f"WINDOW#{window}", prefix)]

    def claim(self, window: Window, action_id: str, owner: str, now: float, lease: float) -> Action | None:
        try:
            answer = call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=_action_key(window, action_id),
                UpdateExpression="SET #status = :running, #owner = :owner, lease_until = :until,"
                " started_at = if_not_exists(started_at, :now) ADD attempts :one",
                ConditionExpression="#status = :pending"
                " OR (#status = :running AND (#owner = :owner OR lease_until <= :now))",
                ExpressionAttributeNames={"#status": "status", "#owner": "owner"},
                ExpressionAttributeValues={
                    ":pending": {"S": "pending"},
                    ":running": {"S": "running"},
                    ":owner": {"S": owner},
                    ":until": {"N": repr(now + lease)},
                    ":now": {"N": repr(now)},
                    ":one": {"N": "1"},
                },
                ReturnValues="ALL_NEW",
            )
        except ConflictError:
            return None
        return _action(answer["Attributes"])

    def finish(self, window: Window, action_id: str, owner: str, result: Result, now: float) -> bool:
        try:
            call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=_action_key(window, action_id),
                UpdateExpression="SET #status = :status, reason = :reason, #reference = :reference,"
                " deviations = :deviations, finished_at = :now",
                ConditionExpression="#status = :running AND #owner = :owner",
                ExpressionAttributeNames={
                    "#status": "status",
                    "#owner": "owner",
                    "#reference": "reference",
                },
                ExpressionAttributeValues={
                    ":status": {"S": result.status},
                    ":reason": {"S": result.reason},
                    ":reference": {"S": result.reference},
                    ":deviations": {"S": _json(result.deviations)},
                    ":now": {"N": repr(now)},
                    ":running": {"S": "running"},
                    ":owner": {"S": owner},
                },
            )
        except ConflictError:
            return False
        return True

    def verify(self, window: Window, action_id: str, verdict: Verdict) -> None:
        call(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=_action_key(window, action_id),
            UpdateExpression="SET verdict = :verdict",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":verdict": {"S": _json(verdict)}},
        )

    # Plans

    def plan(self, window: Window) -> Plan | None:
        key = {"pk": {"S": f"WINDOW#{window}"}, "sk": {"S": "PLAN"}}
        answer = call(self._dynamodb.get_item, TableName=self._table, Key=key, ConsistentRead=True)
        if "Item" not in answer:
            return None
        item = answer["Item"]
        plan = _PLAN.decode(item["body"]["S"])
        decisions = [
            decision
            for row in self._query(f"WINDOW#{window}", f"DECISIONS#{plan.id}#")
            for decision in msgspec.json.decode(row["body"]["S"])
        ]
        settled = msgspec.json.decode(item["settled"]["S"]) if "settled" in item else None
        return msgspec.structs.replace(plan, decisions=tuple(decisions), settled=settled)

    def commit_plan(self, window: Window, plan: Plan, actions: Sequence[Action]) -> Plan:
        ends = self._expiry()
        decisions = (
            {
                "pk": {"S": f"WINDOW#{window}"},
                "sk": {"S": f"DECISIONS#{plan.id}#{number:04d}"},
                "body": {"S": _json(part)},
                **ends,
            }
            for number, part in enumerate(batched(plan.decisions, DECISIONS_PER_ITEM, strict=False))
        )
        self._write(decisions)
        self._write({**_action_item(window, action), **ends} for action in actions)
        item: dict[str, Any] = {
            "pk": {"S": f"WINDOW#{window}"},
            "sk": {"S": "PLAN"},
            "body": {"S": _json(msgspec.structs.replace(plan, decisions=(), settled=None))},
            **ends,
        }
        if self._put_new(item):
            return plan
        committed = self.plan(window)
        if committed is None:
            raise ConflictError(f"{window}: the plan that was there is gone")
        return committed

    def add_actions(self, window: Window, actions: Sequence[Action]) -> None:
        for action in actions:
            self._put_new({**_action_item(window, action), **self._expiry()})

    def settle_plan(self, window: Window, settled: dict[str, Any]) -> bool:
        try:
            call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key={"pk": {"S": f"WINDOW#{window}"}, "sk": {"S": "PLAN"}},
                UpdateExpression="SET settled = :settled",
                ConditionExpression="attribute_exists(pk) AND attribute_not_exists(settled)",
                ExpressionAttributeValues={":settled": {"S": _json(settled)}},
            )
        except ConflictError:
            return False
        return True

    # Records

    def records(self, keys: Sequence[str]) -> dict[str, Record]:
        found = {}
        for part in batched(dict.fromkeys(keys), GET_BATCH, strict=False):
            for item in self._get([_record_key(key) for key in part]):
                key = item["pk"]["S"].removeprefix("RECORD#")
                found[key] = Record(key, msgspec.json.decode(item["body"]["S"]), int(item["version"]["N"]))
        return found

    def put_records(self, records: Sequence[Record]) -> set[str]:
        refused: set[str] = set()
        for part in batched(records, TRANSACTION, strict=False):
            refused |= self._put_records(list(part))
        return refused

    def _put_records(self, records: list[Record]) -> set[str]:
        """A conflict cancels a whole transaction: those that met none are tried again without the rest."""
        refused: set[str] = set()
        for _ in range(UNPROCESSED_ATTEMPTS):
            puts: Any = [self._record_put(record) for record in records]
            try:
                if len(puts) == 1:
                    call(self._dynamodb.put_item, **puts[0])
                else:
                    call(self._dynamodb.transact_write_items, TransactItems=[{"Put": put} for put in puts])
            except ConflictError as error:
                lost = _lost(records, error)
                refused |= lost
                records = [record for record in records if record.key not in lost]
            else:
                return refused
            if not records:
                return refused
        raise ThrottledError(f"{len(records)} records met a transaction conflict again and again")

    def _record_put(self, record: Record) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": {
                **_record_key(record.key),
                "version": {"N": str(record.version + 1)},
                "body": {"S": _json(record.body)},
                **self._expiry(),
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if record.version:
            put["ConditionExpression"] = "#version = :version"
            put |= _names_and_values("#version", record.version)
        return put

    # Rejections

    def reject(self, rejection: Rejection) -> None:
        item = {
            "pk": {"S": f"REJECTIONS#{rejection.domain}#{iso(rejection.at)[:10]}"},
            "sk": {"S": rejection.id},  # a message that SQS delivers again is no second one
            "body": {"S": _json(rejection)},
            **self._expiry(),
        }
        call(self._dynamodb.put_item, TableName=self._table, Item=item)

    def rejections(self, domain: str, day: str) -> list[Rejection]:
        found = [
            msgspec.json.decode(item["body"]["S"], type=Rejection)
            for item in self._query(f"REJECTIONS#{domain}#{day}")
        ]
        return sorted(found, key=lambda rejection: (rejection.at, rejection.id))

    # Deferrals

    def defer(self, deferral: Deferral) -> None:
        item = {
            "pk": {"S": f"DEFERRALS#{deferral.key.domain}"},
            "sk": {"S": deferral.id},
            "body": {"S": _json(deferral)},
            "expires_at": {"N": str(int(deferral.due_at + self._retention))},
        }
        call(self._dynamodb.put_item, TableName=self._table, Item=item)

    def deferrals(self, domain: str) -> list[Deferral]:
        found = [_DEFERRAL.decode(item["body"]["S"]) for item in self._query(f"DEFERRALS#{domain}")]
        return sorted(found, key=lambda deferral: (deferral.due_at, deferral.id))

    def drop_deferral(self, domain: str, deferral_id: str) -> None:
        key = {"pk": {"S": f"DEFERRALS#{domain}"}, "sk": {"S": deferral_id}}
        call(self._dynamodb.delete_item, TableName=self._table, Key=key)

    # Plumbing

    def _expiry(self, lifetime: float | None = None) -> dict[str, Any]:
        ends = self._clock() + (self._retention if lifetime is None else lifetime)
        return {"expires_at": {"N": str(int(ends))}}

    def _query(self, pk: str, sk_prefix: str = "") -> Iterator[Item]:
        condition, values = "pk = :pk", {":pk": {"S": pk}}
        if sk_prefix:
            condition += " AND begins_with(sk, :sk)"
            values[":sk"] = {"S": sk_prefix}
        start: dict[str, Any] = {}
        while True:
            page = call(
                self._dynamodb.query,
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                **start,
            )
            yield from page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _get(self, keys: list[dict[str, Any]]) -> Iterator[Item]:
        request: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        for _ in range(UNPROCESSED_ATTEMPTS):
            answer = call(self._dynamodb.batch_get_item, RequestItems=request)
            yield from answer["Responses"].get(self._table, [])
            request = answer["UnprocessedKeys"]
            if not request:
                return
        raise ThrottledError(f"BatchGetItem left some of {len(keys)} keys unprocessed")

    def _write(self, items: Iterable[dict[str, Any]]) -> None:
        for part in batched(items, WRITE_BATCH, strict=False):
            requests: Any = [{"PutRequest": {"Item": item}} for item in part]
            for _ in range(UNPROCESSED_ATTEMPTS):
                answer = call(self._dynamodb.batch_write_item, RequestItems={self._table: requests})
                requests = answer["UnprocessedItems"].get(self._table, [])
                if not requests:
                    break
            else:
                raise ThrottledError(f"BatchWriteItem left {len(requests)} items unprocessed")

    def _put_new(self, item: dict[str, Any]) -> bool:
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ConflictError:
            return False
        return True


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _lost(records: list[Record], error: ConflictError) -> set[str]:
    """Whose condition did not hold. A single put's failure is its own; a transaction names its failures."""
    if len(records) == 1:
        return {records[0].key}
    reasons = cast("ClientError", error.__cause__).response.get("CancellationReasons", [])
    return {
        record.key
        for record, reason in zip(records, reasons, strict=True)
        if reason.get("Code") == "ConditionalCheckFailed"
    }


def _names_and_values(name: str, number: int) -> dict[str, Any]:
    return {
        "ExpressionAttributeNames": {name: name.lstrip("#")},
        "ExpressionAttributeValues": {f":{name.lstrip('#')}": {"N": str(number)}},
    }


def _pointer_key(key: WindowKey) -> dict[str, Any]:
    return {"pk": {"S": f"WINDOWS#{key.domain}"}, "sk": {"S": f"{key.account}#{key.region}"}}


def _pointer(item: Item) -> Pointer:
    return Pointer(
        number=int(item["number"]["N"]),
        open=item["open"]["BOOL"],
        opened_at=float(item["opened_at"]["N"]),
        started=item["started"]["BOOL"],
        swept=int(item["swept"]["N"]) if "swept" in item else 0,
    )


def _action_key(window: Window, action_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"WINDOW#{window}"}, "sk": {"S": f"ACTION#{action_id}"}}


def _action_item(window: Window, action: Action) -> dict[str, Any]:
    return {
        **_action_key(window, action.id),
        "body": {"S": _json(action)},
        "status": {"S": action.status},
        "attempts": {"N": "0"},
    }


def _action(item: Item) -> Action:
    """What was planned from the body, what happened since from the attributes."""
    text = {name: item[name]["S"] for name in ("status", "reason", "owner", "reference") if name in item}
    numbers = {
        name: float(item[name]["N"]) for name in ("lease_until", "started_at", "finished_at") if name in item
    }
    changes: dict[str, Any] = {**text, **numbers, "attempts": int(item["attempts"]["N"])}
    if "deviations" in item:
        changes["deviations"] = _DEVIATIONS.decode(item["deviations"]["S"])
    if "verdict" in item:
        changes["verdict"] = _VERDICT.decode(item["verdict"]["S"])
    return msgspec.structs.replace(_ACTION.decode(item["body"]["S"]), **changes)


def _record_key(key: str) -> dict[str, Any]:
    return {"pk": {"S": f"RECORD#{key}"}, "sk": {"S": "CURRENT"}}
