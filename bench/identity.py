"""Measures what each REPLICA IDENTITY costs: WAL of an insert, update and delete, bytes out of the plugin, and tps.

The same statements run under each identity, on tables of the decode workloads. WAL is counted record by record with
pg_walinspect, so that full-page images, which depend on checkpoints, are kept apart. Then pgbench updates rows of
orders one by one under each identity in turn.
"""

import datetime
import sys

from common import (
    HERE,
    PUBLICATION,
    Server,
    argument_parser,
    cost_table,
    fail_clearly,
    machine_line,
    markdown_table,
    positive,
    progress,
    turns,
    write_results,
)

SLOT = "bench_identity"
PARTS = ("wal", "tps")
IDENTITIES = {
    "DEFAULT": "DEFAULT",
    "USING INDEX": "USING INDEX bench_identity",
    "FULL": "FULL",
    "NOTHING": "NOTHING",
}
# Of each table: rows at scale 1, the column of the index for USING INDEX (there under every identity, because it writes
# WAL too), and the steps, each of which changes every row once.
WORKLOADS = {
    "orders": (20_000, "token", {
        "insert": "INSERT INTO orders SELECT * FROM bench_orders(1, {rows})",
        "update of three columns": "UPDATE orders SET status = status + 1, paid = NOT paid, amount = amount * 1.07",
        "update of the key": "UPDATE orders SET id = id + 10000000",
        "delete": "DELETE FROM orders",
    }),
    "wide_text": (4_000, "id", {
        "insert": "CALL bench_wide('insert', 1, {rows})",
        "update of two columns": "CALL bench_wide('update', 1, {rows})",
        "delete": "CALL bench_wide('delete', 1, {rows})",
    }),
    "toast_jsonb": (1_000, "id", {
        "insert": "CALL bench_documents('insert', {rows})",
        "update beside the document": "CALL bench_documents('touch', {rows})",
        "update of the document": "CALL bench_documents('rewrite', {rows})",
        "delete": "DELETE FROM toast_jsonb",
    }),
}
TPS_ROWS = 100_000


def prepare(server, workload):
    """The table in a database of its own. No publication: it would refuse updates under NOTHING."""
    server.fresh_database("bench")
    server.sql(f"DROP PUBLICATION {PUBLICATION}")
    server.sql("CREATE EXTENSION pg_walinspect")
    server.run_file(HERE / "workloads" / f"{workload}.schema.sql")
    server.sql(f"CREATE UNIQUE INDEX bench_identity ON {workload} ({WORKLOADS[workload][1]})")


def set_identity(server, table, identity):
    server.sql(f"ALTER TABLE {table} REPLICA IDENTITY {IDENTITIES[identity]}")


def flushed_end(server):
    """The end of the WAL, once pg_walinspect can read up to there."""
    end = server.sql("SELECT pg_current_wal_insert_lsn()")
    server.sql("SELECT pg_logical_emit_message(false, 'bench', 'tail')")
    server.wait_for(f"pg_current_wal_flush_lsn() > '{end}'", "the flush of the WAL")
    return end


def run_step(server, statement):
    """WAL bytes of a statement in records and in full-page images, and the bytes that the plugin makes of it."""
    server.sql("CHECKPOINT")
    start = flushed_end(server)
    server.sql(statement)
    end = flushed_end(server)
    records, images = map(int, server.sql(
        f"SELECT sum(record_size)::bigint, sum(fpi_size)::bigint FROM pg_get_wal_stats('{start}', '{end}')"
    ).split("|"))
    out = server.sql(
        "SELECT coalesce(sum(octet_length(data)), 0) "
        f"FROM pg_logical_slot_get_binary_changes('{SLOT}', NULL, NULL, 'messages', 'off')")
    return {"records": records, "images": images, "out": int(out)}


def measure_wal(server, workload, scale):
    rows, _, steps = WORKLOADS[workload]
    rows = max(100, round(rows * scale))
    results = {step: {} for step in steps}
    for identity in IDENTITIES:
        prepare(server, workload)
        set_identity(server, workload, identity)
        server.create_slot(SLOT, "cdc_plugin")
        for step, statement in steps.items():
            results[step][identity] = run_step(server, statement.format(rows=rows))
        progress(f"{workload}: {identity}")
    return {"rows": rows, "steps": results}


def measure_tps(server, rounds, seconds, scale, folder):
    """pgbench with one client; the identities take turns, and each round begins with another one."""
    rows = max(1000, round(TPS_ROWS * scale))
    prepare(server, "orders")
    server.sql(f"INSERT INTO orders SELECT * FROM bench_orders(1, {rows})")
    script = folder / "identity.sql"
    script.write_text(
        f"\\set id random(1, {rows})\nUPDATE orders SET status = 1 - status, amount = 1 WHERE id = :id;\n")
    results = {identity: [] for identity in IDENTITIES}
    for number, identity in turns(IDENTITIES, rounds):
        set_identity(server, "orders", identity)
        server.sql("VACUUM orders")
        results[identity].append(server.cost_of_pgbench("-M", "prepared", "-f", script, "bench", seconds=seconds))
        progress(f"tps: round {number + 1}/{rounds}: {identity}: {results[identity][-1]}")
    return results


def workload_markdown(workload, measured):
    rows, steps = measured["rows"], measured["steps"]

    def table(title, kind, further, more=lambda of: []):
        return markdown_table([title, *IDENTITIES, *further], [
            [step, *(f"{of[identity][kind] / rows:,.0f}" for identity in IDENTITIES), *more(of)]
            for step, of in steps.items()])

    return f"### {workload}\n\n{rows:,} rows.\n\n" + "\n\n".join([
        table("WAL, bytes for each row", "records", ["FULL / DEFAULT", "and in full-page images"], lambda of: [
            f"{of['FULL']['records'] / of['DEFAULT']['records']:.2f}", f"{of['DEFAULT']['images'] / rows:,.0f}"]),
        table("out of the plugin, bytes for each row", "out", []),
    ])


def main():
    parser = argument_parser("identity", __doc__.split("\n", 1)[0], PARTS)
    parser.add_argument("--rounds", type=positive(int), default=4, help="runs of pgbench with each (default 4)")
    parser.add_argument("--seconds", type=positive(int), default=10, help="length of a run (default 10)")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    server = Server(arguments.bindir, arguments.data_dir)
    report = {"machine": machine_line(server), "date": datetime.date.today().isoformat(), "scale": arguments.scale}
    text = [f"Machine: {report['machine']}.\n\n{report['date']}, scale {arguments.scale:g}."]
    if "wal" in arguments.parts:
        report["wal"] = {name: measure_wal(server, name, arguments.scale) for name in WORKLOADS}
        text += [workload_markdown(name, measured) for name, measured in report["wal"].items()]
    if "tps" in arguments.parts:
        report["tps"] = measure_tps(server, arguments.rounds, arguments.seconds, arguments.scale, arguments.out)
        text.append(f"### tps\n\nOne client updates orders, {arguments.rounds} rounds of {arguments.seconds} s.")
        text.append(cost_table("identity", report["tps"]))
    write_results(arguments.out, "identity", "\n\n".join(text), report)
    return 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
