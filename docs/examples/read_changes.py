#!/usr/bin/env python3
"""Prints the changes in a file that pg_recvlogical wrote with framing=delimited.

Usage: read_changes.py DIRECTORY FILE

DIRECTORY holds the Python module made from the schema:
    protoc --python_out=DIRECTORY -I proto cdc_plugin/v1/change.proto
"""
import datetime
import decimal
import json
import sys

sys.path.insert(0, sys.argv[1])
from cdc_plugin.v1 import change_pb2 as cdc  # noqa: E402


def batches(path):
    """The slot's messages in a file: each is a varint length, a Batch, and the newline of pg_recvlogical."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        size = shift = 0
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if at + size > len(data):
            break  # a message that was still being written
        yield cdc.Batch.FromString(data[at : at + size])
        at += size + 1


EPOCH = datetime.datetime(2000, 1, 1)  # the schema's, for all points in time


def array(array):
    """Nested lists, of the shape that the dimensions give."""
    items = [value(element) for element in array.elements]
    for length in reversed(array.dimensions[1:]):
        items = [items[i : i + length] for i in range(0, len(items), length)]
    return items


# How this reader shows the kinds that are more than a plain Python value.
CONVERT = {
    "numeric": decimal.Decimal,
    "json": json.loads,
    "array": array,
    "timestamp_micros": lambda v: EPOCH + datetime.timedelta(microseconds=v),
    "timestamptz_micros": lambda v: (EPOCH + datetime.timedelta(microseconds=v)).replace(tzinfo=datetime.timezone.utc),
    "date_days": lambda v: (EPOCH + datetime.timedelta(days=v)).date(),
    "absent": lambda v: None if v == cdc.ABSENT_NULL else cdc.Absent.Name(v),
}


def value(value):
    kind = value.WhichOneof("kind")
    if kind is None:  # never take it for a NULL
        raise ValueError("value of a kind that this reader does not know")
    content = getattr(value, kind)
    return CONVERT[kind](content) if kind in CONVERT else content


def row(relation, values):
    return {column.name: value(v) for column, v in zip(relation.columns, values, strict=True)}


relations = {}
transaction = None
for batch in batches(sys.argv[2]):
    for record in batch.records:
        kind = record.WhichOneof("record")
        if kind == "begin":
            transaction = record.begin
        elif kind == "relation":
            relations[record.relation.relation_id] = record.relation
        elif kind == "change":
            change = record.change
            relation = relations[change.relation_id]
            print(f"{cdc.Op.Name(change.op)[3:].lower()} {relation.schema}.{relation.name}"
                  f" (event {transaction.commit_lsn:X}/{change.ordinal})")
            if change.before_kind != cdc.BEFORE_NONE:
                print("  before:", row(relation, change.before))
            if change.op != cdc.OP_DELETE:
                print("  after: ", row(relation, change.after))
