"""Looks into SQLite sinks for the tests.

    compare_sink.py query FILE SQL                        rows, with | between columns
    compare_sink.py compare PSQL CONNINFO FILE TABLE...   whether tables (schema.name) have the same rows as the source
"""

import collections
import json
import sqlite3
import subprocess
import sys


def connect(file):
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)


def source_rows(psql, conninfo, table):
    """Rows as the source's to_jsonb() has them; numbers stay text, with all their digits."""
    sql = f"SET TimeZone = 'UTC'; SET extra_float_digits = 3; SELECT to_jsonb(compared_row) FROM {table} AS compared_row"
    done = subprocess.run(
        [psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", conninfo, "-c", sql],
        capture_output=True, text=True, check=True, encoding="utf-8")
    return [json.loads(line, parse_int=str, parse_float=str) for line in done.stdout.split("\n") if line]


def sink_name(table):
    schema, name = table.split(".", 1)
    return name if schema == "public" else f"{schema}_{name}"


def same(source, sink):
    """Whether a value of the source's JSON is what the sink stores."""
    if source is None or sink is None:
        return source is sink or (source is None and sink == "null")  # jsonb has a null of its own
    if isinstance(source, bool):
        return sink in (0, 1) and bool(sink) == source or sink == str(source).lower()
    if isinstance(sink, bytes):
        return source == "\\x" + sink.hex()
    if isinstance(sink, int):
        return source == str(sink)
    if isinstance(sink, float):
        return float(source) == sink
    if isinstance(source, (list, dict)):
        return json.loads(sink, parse_int=str, parse_float=str) == source
    return source == sink or sink == json.dumps(source, ensure_ascii=False)


def sort_key(row, columns):
    return [str(row[column]) for column in columns]


def compare(psql, conninfo, file, table):
    """Differences, as lines."""
    left = source_rows(psql, conninfo, table)
    with connect(file) as database:
        database.row_factory = sqlite3.Row
        right = [dict(row) for row in database.execute(f'SELECT * FROM "{sink_name(table)}"')]
    if len(left) != len(right):
        return [f"{table}: {len(left)} rows in the source, {len(right)} in the sink"]
    if not left:
        return []
    columns = list(left[0])
    extra = set(right[0]) - set(columns) - {"cdc_partition"}
    if extra or set(columns) - set(right[0]):
        return [f"{table}: columns {sorted(columns)} in the source, {sorted(right[0])} in the sink"]
    # Rows are matched by the columns whose text is the same on both sides.
    plain = [name for name in columns
             if all(row[name] is None or isinstance(row[name], str) for row in left)
             and all(row[name] is None or isinstance(row[name], (str, int)) for row in right)]
    groups = collections.defaultdict(list)
    for row in right:
        groups[tuple(sort_key(row, plain))].append(row)
    for row in left:
        candidates = groups[tuple(sort_key(row, plain))]
        for index, candidate in enumerate(candidates):
            if all(same(row[name], candidate[name]) for name in columns):
                del candidates[index]
                break
        else:
            return [f"{table}: not in the sink: {row}", *(f"  but: {candidate}" for candidate in candidates[:3])]
    return []


def main():
    if sys.argv[1] == "query":
        with connect(sys.argv[2]) as database:
            for row in database.execute(sys.argv[3]):
                print("|".join("" if value is None else str(value) for value in row))
        return 0
    psql, conninfo, file, *tables = sys.argv[2:]
    differences = [line for table in tables for line in compare(psql, conninfo, file, table)]
    print("\n".join(differences) or f"{len(tables)} tables are equal")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
