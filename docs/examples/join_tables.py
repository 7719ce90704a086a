#!/usr/bin/env python3
"""Joins two captured tables out of JSON lines, assuming nothing about the order between their transactions.

Usage: join_tables.py FILE          FILE: what `cdc_consumer run --sink jsonl:FILE` wrote

Changes of one row come in their order, but a row may come before or after the one that it refers to: applications write
them in separate transactions, and those commit in any order. So each side waits for the other: both are kept by the
column that they are joined on, and a pair is there when both halves are. Without that, an item that comes before its
order would be lost, and one that outlives it would stay.
"""
import json
import sys

orders = {}  # order id -> state
items = {}  # item id -> (order id, version)


def apply(event):
    """Idempotent: the last state of each row is all that counts."""
    table, old, new = event["table"], event.get("before"), event.get("after")
    if table == "orders":
        if old is not None:
            orders.pop(old["id"], None)
        if new is not None:
            orders[new["id"]] = new["state"]
    elif table == "items":
        if old is not None:
            items.pop(old["id"], None)
        if new is not None:
            items[new["id"]] = (new["order_id"], new["version"])


with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        event = json.loads(line)
        if event["record"] == "change":
            apply(event)

for order_id, version in sorted(items.values()):
    if order_id in orders:
        print(order_id, orders[order_id], version, sep="\t")
