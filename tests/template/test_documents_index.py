"""The index as Athena knows it, and as the program writes it, are the same."""

from typing import Any

import msgspec

from signalbox.documents.loading import Row
from signalbox.documents.s3_index import FILES, SHARDS, shard_prefix
from signalbox.documents.searching import Query, statement
from tests.template.sources import resources

TABLE: dict[str, Any] = resources("AWS::Glue::Table")["DocumentsTable"]["Properties"]["TableInput"]
LOCATION = "s3://${DocumentsWorkBucket}/"


def test_the_table_has_a_column_for_each_field_of_a_row() -> None:
    columns = [column["Name"] for column in TABLE["StorageDescriptor"]["Columns"]]

    assert columns == [field.name for field in msgspec.structs.fields(Row)]


def test_columns_that_are_lists_have_the_fields_of_what_they_list() -> None:
    types = {column["Name"]: column["Type"] for column in TABLE["StorageDescriptor"]["Columns"]}

    assert types["entities"] == "array<struct<text:string,type:string,score:double>>"
    assert types["labels"] == "array<struct<name:string,confidence:double>>"


def test_every_shard_is_a_partition_that_athena_works_out() -> None:
    projected = TABLE["Parameters"]
    template = projected["storage.location.template"]["Fn::Sub"]

    assert projected["projection.shard.range"] == f"0,{SHARDS - 1}"
    for shard in (0, 9, SHARDS - 1):
        digits = f"{shard:0{projected['projection.shard.digits']}}"
        assert template.replace("${!shard}", digits) == LOCATION + shard_prefix(shard)
    assert TABLE["StorageDescriptor"]["Location"] == {"Fn::Sub": LOCATION + FILES}


def test_the_saved_query_is_the_one_that_a_search_asks() -> None:
    [saved] = resources("AWS::Athena::NamedQuery").values()

    assert saved["Properties"]["QueryString"].strip() == statement(Query(words=("invoice",)))
