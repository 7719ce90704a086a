#!/usr/bin/env python3
"""Reads streams that pg_recvlogical wrote with framing=delimited, for the TAP tests.

    read_stream.py events  FILE...   every record as a line of JSON
    read_stream.py summary FILE...   what each file holds: a line of JSON for each
    read_stream.py replay  FILE...   the files as deliveries of one slot: whether events that came twice are the same
    read_stream.py rows    FILE...   the rows that the files' changes lead to, one line of JSON for each
    read_stream.py journal FILE...   changes against what their own transaction wrote about them in a journal table

Whatever the command, each file must keep the rules of change.proto; the first breach ends the program with status 3.
CDC_PROTO names the directory with the generated module.
"""
import argparse
import hashlib
import json
import os
import sys

sys.path.insert(0, os.environ["CDC_PROTO"])
from cdc_plugin.v1 import change_pb2 as pb  # noqa: E402

CHANGE_KINDS = {pb.OP_INSERT: "insert", pb.OP_UPDATE: "update", pb.OP_DELETE: "delete", pb.OP_READ: "read"}
BEFORE_KINDS = {pb.BEFORE_NONE: None, pb.BEFORE_KEY: "key", pb.BEFORE_FULL: "full"}


class Breach(Exception):
    """The stream breaks a rule."""


def require(condition, text):
    if not condition:
        raise Breach(text)


def lsn(position):
    return "%X/%X" % (position >> 32, position & 0xFFFFFFFF)


def varint(data, at):
    """The varint at `at` and the position behind it; None if the data ends within it."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return None, at


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class Stream:
    """The records of one file, checked as they go by."""

    def __init__(self, path, torn, digests=True):
        self.path = path
        self.may_be_torn = torn
        self.digests = digests
        self.torn = False  # the file ends within a message
        self.messages = 0
        self.largest = 0
        self.bytes = 0
        self.relations = {}
        self.open = None  # the Begin of the open transaction
        self.counted = 0  # events in it
        self.ordinal = 0
        self.last_commit = 0

    def payloads(self):
        with open(self.path, "rb") as file:
            data = file.read()
        self.bytes = len(data)
        data = memoryview(data)
        at = 0
        while at < len(data):
            size, body = varint(data, at)
            if size is None or body + size >= len(data):
                require(self.may_be_torn, "the file ends within a message that starts at byte %d" % at)
                self.torn = True
                return
            require(data[body + size] == 0x0A, "no newline behind the message at byte %d" % at)
            yield bytes(data[body:body + size])
            self.messages += 1
            self.largest = max(self.largest, size)
            at = body + size + 1

    def records(self):
        """(record, digest of its bytes), in order."""
        for payload in self.payloads():
            require(payload, "a message is empty")
            # Large ones, of one record as a rule, are better not copied more often than needed.
            if not self.digests or len(payload) > 100 << 20:
                for record in pb.Batch.FromString(payload).records:
                    yield self.check(record), None
                continue
            at = 0
            while at < len(payload):
                require(payload[at] == 0x0A, "a batch holds a field that is not records")
                size, at = varint(payload, at + 1)
                require(size is not None and at + size <= len(payload), "a record is longer than its batch")
                body = payload[at:at + size]
                yield self.check(pb.Record.FromString(body)), hashlib.sha1(body).hexdigest()
                at += size
        require(self.open is None or self.may_be_torn, "the file ends within a transaction")

    def check(self, record):
        kind = record.WhichOneof("record")
        require(kind is not None, "a record is of no known kind")
        if kind == "begin":
            begin = record.begin
            require(self.open is None, "a transaction begins within another one")
            require(begin.commit_lsn > self.last_commit, "transactions are out of commit order")
            require(begin.xid and begin.commit_lsn, "a begin is incomplete")
            self.open, self.counted, self.ordinal = begin, 0, 0
        elif kind == "commit":
            commit = record.commit
            require(self.open is not None, "a commit without a begin")
            require((commit.xid, commit.commit_lsn, commit.commit_time_micros) ==
                    (self.open.xid, self.open.commit_lsn, self.open.commit_time_micros),
                    "a commit is not that of the begin")
            require(commit.end_lsn > commit.commit_lsn, "a commit ends before it starts")
            require(commit.record_count == self.counted,
                    "record_count of %s is %d, but there were %d" %
                    (lsn(commit.commit_lsn), commit.record_count, self.counted))
            self.last_commit, self.open = commit.commit_lsn, None
        elif kind == "relation":
            self.check_relation(record.relation)
        elif kind == "message" and not record.message.transactional:
            require(self.open is None and record.message.ordinal == 0,
                    "a message outside of transactions is within one")
        else:
            self.check_event(kind, getattr(record, kind))
        return record

    def check_relation(self, relation):
        bare = pb.Relation()
        bare.CopyFrom(relation)
        bare.ClearField("fingerprint")
        require(fnv1a(bare.SerializeToString()) == relation.fingerprint,
                "the fingerprint of %s.%s is not that of its definition" % (relation.schema, relation.name))
        self.relations[relation.relation_id] = relation

    def check_event(self, kind, event):
        require(self.open is not None, "a %s outside of a transaction" % kind)
        require(event.ordinal > self.ordinal, "ordinals do not rise")
        self.ordinal = event.ordinal
        self.counted += 1
        if kind == "truncate":
            require(event.relation_ids and all(i in self.relations for i in event.relation_ids),
                    "a truncate of unknown relations")
        elif kind == "change":
            relation = self.relations.get(event.relation_id)
            require(relation is not None, "a change of a relation that is not defined")
            require(event.op in CHANGE_KINDS, "a change without an operation")
            width = len(relation.columns)
            has_after = event.op != pb.OP_DELETE
            require(len(event.after) == (width if has_after else 0), "the new row has not a value for each column")
            require(len(event.before) == (width if event.before_kind else 0),
                    "the old row has not a value for each column")
            for value in event.before:
                require(value.WhichOneof("kind"), "a value is of no known kind")
            for value in event.after:
                require(value.WhichOneof("kind"), "a value is of no known kind")


class Rendering:
    """Values as JSON."""

    def __init__(self, long):
        self.long = long  # texts and bytes of more bytes than this become their size and MD5

    def shorten(self, data, short):
        if self.long and len(data) > self.long:
            return {"bytes": len(data), "md5": hashlib.md5(data).hexdigest()}
        return short()

    def text(self, value):
        if self.long:
            return self.shorten(value.encode(), lambda: value)
        return value

    def value(self, value):
        kind = value.WhichOneof("kind")
        data = getattr(value, kind)
        if kind == "absent":
            return None if data == pb.ABSENT_NULL else {"absent": pb.Absent.Name(data)[len("ABSENT_"):].lower()}
        if kind in ("text", "numeric", "json"):
            return self.text(data)
        if kind == "other_text":
            return {"other": self.text(data)}
        if kind == "undecoded_text":
            return {"undecoded": self.shorten(data, data.hex)}
        if kind == "bytea":
            return self.shorten(data, lambda: "\\x" + data.hex())
        if kind == "uuid":
            return data.hex()
        if kind == "array":
            elements = [self.value(element) for element in data.elements]
            if len(data.dimensions) < 2 and not data.lower_bounds:
                return elements
            return {"dimensions": list(data.dimensions), "bounds": list(data.lower_bounds), "elements": elements}
        if kind in ("boolean", "integer", "float4", "float8", "oid"):
            return data
        if kind == "too_large_bytes":
            return {"too_large_bytes": data}
        return {kind: str(data) if hasattr(data, "DESCRIPTOR") else data}

    def row(self, relation, values):
        return {column.name: self.value(value) for column, value in zip(relation.columns, values)} if values else None


def event_id(stream, event):
    return "%s:%d" % (lsn(stream.open.commit_lsn), event.ordinal)


def describe(stream, record, rendering):
    kind = record.WhichOneof("record")
    body = getattr(record, kind)
    out = {"kind": kind}
    if kind in ("begin", "commit"):
        out["lsn"] = lsn(body.commit_lsn)
        out["xid"] = body.xid
        if kind == "commit":
            out["end_lsn"], out["count"] = lsn(body.end_lsn), body.record_count
        elif body.HasField("origin"):
            out["origin"] = {"name": body.origin.name, "lsn": lsn(body.origin.lsn)}
        return out
    if kind == "relation":
        out["relation"], out["oid"] = "%s.%s" % (body.schema, body.name), body.relation_id
        out["columns"] = [column.name for column in body.columns]
        out["types"] = [column.type_sql for column in body.columns]
        out["fingerprint"] = "%016x" % body.fingerprint
        return out
    if stream.open is not None:
        out["id"] = event_id(stream, body)
        out["lsn"], out["ordinal"], out["xid"] = lsn(stream.open.commit_lsn), body.ordinal, stream.open.xid
    if kind == "change":
        relation = stream.relations[body.relation_id]
        out["kind"] = CHANGE_KINDS[body.op]
        out["relation"], out["oid"] = "%s.%s" % (relation.schema, relation.name), body.relation_id
        out["before_kind"] = BEFORE_KINDS[body.before_kind]
        out["before"] = rendering.row(relation, body.before)
        out["after"] = rendering.row(relation, body.after)
        if body.HasField("changed"):
            out["changed"] = [relation.columns[i].name for i in body.changed.columns]
    elif kind == "truncate":
        out["relations"] = ["%s.%s" % (stream.relations[i].schema, stream.relations[i].name)
                            for i in body.relation_ids]
    else:
        out["transactional"], out["prefix"] = body.transactional, body.prefix
        out["content"] = body.content.decode("utf-8", "backslashreplace")
        out["too_large_bytes"] = body.too_large_bytes
    return out


def show_events(options, out):
    rendering = Rendering(options.long)
    for path in options.files:
        stream = Stream(path, options.torn)
        for record, digest in stream.records():
            line = describe(stream, record, rendering)
            line["digest"], line["message"] = digest, stream.messages
            if options.brief:
                line = {key: line[key] for key in ("kind", "id", "relation", "digest", "changed") if key in line}
            out(line)


def show_summary(options, out):
    for path in options.files:
        stream = Stream(path, options.torn, digests=False)
        kinds, relations = {}, {}
        gaps = 0  # transactions whose ordinals are not 1, 2, 3, ...
        largest = 0
        for record, _ in stream.records():
            kind = record.WhichOneof("record")
            if kind == "change":
                kind = CHANGE_KINDS[record.change.op]
                oid = record.change.relation_id
                relations[oid] = relations.get(oid, 0) + 1
            elif kind == "commit":
                gaps += stream.ordinal != stream.counted
                largest = max(largest, stream.counted)
            kinds[kind] = kinds.get(kind, 0) + 1
        out({"kinds": kinds, "gaps": gaps, "largest_transaction": largest, "torn": stream.torn,
             "unfinished": stream.open is not None, "messages": stream.messages, "largest_message": stream.largest,
             "bytes": stream.bytes,
             "relations": {"%s.%s" % (stream.relations[oid].schema, stream.relations[oid].name): count
                           for oid, count in relations.items()}})


def show_replay(options, out):
    seen = {}  # event id -> digest
    commits = {}  # commit LSN -> record_count
    ids = {}  # commit LSN -> ids of events
    conflicts, files, repeated = [], [], 0
    for path in options.files:
        stream = Stream(path, options.torn)
        here, new = 0, 0
        for record, digest in stream.records():
            kind = record.WhichOneof("record")
            if kind in ("begin", "commit"):
                body = getattr(record, kind)
                key = "%s:%s" % (lsn(body.commit_lsn), kind)
                if kind == "commit":
                    commits[body.commit_lsn] = body.record_count
            elif kind in ("change", "truncate") or kind == "message" and record.message.transactional:
                key = event_id(stream, getattr(record, kind))
                ids.setdefault(stream.open.commit_lsn, set()).add(key)
                here += 1
            else:
                continue
            if key not in seen:
                seen[key] = digest
                new += kind not in ("begin", "commit")
            elif seen[key] != digest:
                conflicts.append(key)
            else:
                repeated += 1
        files.append({"events": here, "new": new, "torn": stream.torn, "unfinished": stream.open is not None})
    out({"files": files, "conflicts": len(conflicts), "first_conflicts": conflicts[:5], "repeated": repeated,
         "events": sum(len(found) for found in ids.values()), "transactions": len(commits),
         "unfinished": len(set(ids) - set(commits)),
         "miscounted": sum(len(ids.get(commit, ())) != count for commit, count in commits.items())})


def show_rows(options, out):
    events = {}
    rendering = Rendering(options.long)
    for path in options.files:
        stream = Stream(path, options.torn)
        for record, _ in stream.records():
            kind = record.WhichOneof("record")
            if kind == "truncate" or kind == "change":
                line = describe(stream, record, rendering)
                events[(stream.open.commit_lsn, line["ordinal"])] = line
    rows = {}
    for _, event in sorted(events.items(), key=lambda item: item[0]):
        if event["kind"] == "truncate":
            if options.relation in event["relations"]:
                rows.clear()
        elif event["relation"] == options.relation:
            if event["before"] is not None:
                gone = rows.pop(event["before"][options.key], None)
                require(gone == event["before"] or event["before_kind"] != "full",
                        "the old row of %s is not the one that was there" % event["id"])
            if event["after"] is not None:
                rows[event["after"][options.key]] = event["after"]
    for _, row in sorted(rows.items()):
        out(row)


def plain(value):
    """Numbers as text and JSON taken apart, so that a row of the stream compares with the text of to_jsonb(row)."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


def parse(text):
    return None if text is None else plain(json.loads(text, parse_int=str, parse_float=str))


def comparable(stream, event, values):
    """A row as to_jsonb() shows it; values that a key-only old row lacks are left out."""
    relation = stream.relations[event.relation_id]
    rendering = Rendering(0)
    row = {}
    for column, value in zip(relation.columns, values):
        if value.WhichOneof("kind") == "json":
            row[column.name] = parse(value.json)
        elif value.absent != pb.ABSENT_NOT_IN_REPLICA_IDENTITY:
            row[column.name] = plain(rendering.value(value))
    return row


def show_journal(options, out):
    """The journal has columns op, relation, before, after: the event that came just before each of its own."""
    for path in options.files:
        stream = Stream(path, options.torn)
        wrong, compared, transactions, kinds, pending, told = [], 0, 0, {}, [], []

        def mismatch(text, *shown):
            if len(wrong) < 5:
                wrong.append(["%s: %s" % (lsn(stream.open.commit_lsn) if stream.open else "-", text), *shown])
            else:
                wrong.append(text)

        for record, _ in stream.records():
            kind = record.WhichOneof("record")
            if kind == "begin":
                pending, told = [], []
            elif kind == "change":
                event = record.change
                relation = stream.relations[event.relation_id]
                name = "%s.%s" % (relation.schema, relation.name)
                if name == options.relation:
                    told.append({column.name: value.text if value.WhichOneof("kind") == "text" else None
                                 for column, value in zip(relation.columns, event.after)})
                else:
                    pending.append({"op": CHANGE_KINDS[event.op], "relation": name,
                                    "before_kind": BEFORE_KINDS[event.before_kind],
                                    "before": comparable(stream, event, event.before) if event.before_kind else None,
                                    "after": comparable(stream, event, event.after) if event.after else None})
            elif kind == "truncate":
                for oid in record.truncate.relation_ids:
                    relation = stream.relations[oid]
                    pending.append({"op": "truncate", "relation": "%s.%s" % (relation.schema, relation.name),
                                    "before_kind": None, "before": None, "after": None})
            elif kind == "commit":
                transactions += 1
                if len(pending) != len(told):
                    mismatch("%d changes, %d in the journal" % (len(pending), len(told)), pending[:3], told[:3])
                for event, row in zip(pending, told):
                    compared += 1
                    kinds[event["op"]] = kinds.get(event["op"], 0) + 1
                    before, after = parse(row["before"]), parse(row["after"])
                    if event["before_kind"] == "key":
                        before = {name: before.get(name) for name in event["before"]}
                    elif event["before_kind"] is None:
                        before = None
                    if (event["op"], event["relation"]) != (row["op"], row["relation"]):
                        mismatch("another change", event, row)
                    elif event["before"] != before:
                        mismatch("another old row", event["before"], before)
                    elif not same_row(event["after"], after):
                        mismatch("another new row", event["after"], after)
        out({"wrong": wrong[:5], "mismatches": len(wrong), "compared": compared, "transactions": transactions,
             "kinds": kinds})


def same_row(sent, written):
    """Whether a new row is the one that was written; unchanged TOAST says nothing of its value."""
    if sent is None or written is None:
        return sent == written
    unknown = {"absent": "unchanged_toast"}
    return sent.keys() == written.keys() and all(
        value == written[name] or value == unknown for name, value in sent.items())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["events", "summary", "replay", "rows", "journal"])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--torn", action="store_true", help="the writer was killed: files may end anywhere")
    parser.add_argument("--long", type=int, default=0, help="show longer texts and bytes as size and MD5")
    parser.add_argument("--brief", action="store_true", help="(events) kind, id, relation, digest, changed only")
    parser.add_argument("--relation", help="(rows) schema.table")
    parser.add_argument("--key", help="(rows) the column that identifies a row")
    options = parser.parse_args()
    show = {"events": show_events, "summary": show_summary, "replay": show_replay, "rows": show_rows,
            "journal": show_journal}
    try:
        show[options.command](options, lambda line: print(json.dumps(line, sort_keys=True)))
    except Breach as breach:
        print("%s: %s" % (options.files, breach), file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
