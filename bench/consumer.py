"""Measures cdc_consumer: draining a backlog into SQLite, copying a large table into PostgreSQL, and its latency.

The backlog is compared with pg_recvlogical draining the same slot to /dev/null, the copy with pg_dump piped to psql;
the two take turns. Latency is measured from outside: the source's commit timestamp of each row against the moment at
which a reader of the SQLite file sees it. The consumer's largest resident memory is kept for all of it.
"""

import datetime
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import HERE, BenchError, Server, argument_parser, fail_clearly, machine_line, markdown_table
from common import positive, progress, significant, write_results

SLOT, SOURCE_SLOT = "bench_copy", "bench_source"
CHANGES = 600_000
ROWS = 5_000_000
PARTS = ("backlog", "snapshot", "latency")
LATENCY_RATE = 1000
CONNINFO = "dbname={}"


class Consumer:
    """The program, and the most memory that any of its runs took."""

    def __init__(self, path, tables="public.orders"):
        self.path = path
        self.tables = tables
        self.max_rss = 0

    def command(self, command, database, sink, *arguments):
        return [
            self.path, command, "--source", CONNINFO.format(database), "--slot", SLOT, "--tables", self.tables,
            "--sink", sink, "--log-level", "warning", *arguments,
        ]

    def start(self, *arguments):
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def finish(self, process):
        """Waits for its end; returns nothing, or raises what it said."""
        message = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.max_rss = max(self.max_rss, usage.ru_maxrss)
        if process.returncode != 0:
            raise BenchError(f"cdc_consumer ended with status {process.returncode}: {message.strip()}")

    def run(self, *arguments):
        """Seconds of one run."""
        started = time.perf_counter()
        self.finish(self.start(*arguments))
        return time.perf_counter() - started


def remove_sqlite(file):
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


def fresh_source(server):
    server.fresh_database("bench")
    server.run_file(HERE / "workloads" / "orders.schema.sql")
    server.sql("CREATE EXTENSION cdc_plugin")


# --- a backlog into SQLite ------------------------------------------------------------------------------------------


def drain(server, end_lsn):
    started = time.perf_counter()
    receiver = server.start_receiver(SLOT, {}, "--endpos", end_lsn, "-s", "0", "-F", "0")
    message = receiver.stderr.read()
    if receiver.wait() != 0:
        raise BenchError(message.strip())
    return time.perf_counter() - started


def measure_backlog(server, consumer, rounds, scale, folder):
    fresh_source(server)
    template, file = folder / "template.db", folder / "sink.db"
    remove_sqlite(template)
    consumer.run("run", "bench", f"sqlite:{template}", "--until-caught-up")
    # Each run is on a copy of the slot as it is now, under the name that the sink knows.
    server.sql(f"SELECT pg_copy_logical_replication_slot('{SLOT}', '{SOURCE_SLOT}')")
    server.drop_slot(SLOT)
    progress("backlog: writing the WAL")
    server.run_file(HERE / "workloads" / "orders.changes.sql", scale)
    end_lsn = server.sql("SELECT pg_current_wal_insert_lsn()")
    server.sql("SELECT pg_logical_emit_message(false, 'bench', 'tail')")
    server.wait_for("pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()", "the flush of the WAL")
    expected = server.sql("SELECT count(*), sum(id), sum(amount) FROM orders")

    def run_drain():
        return drain(server, end_lsn)

    def run_consumer():
        remove_sqlite(file)
        shutil.copy(template, file)
        seconds = consumer.run("run", "bench", f"sqlite:{file}", "--until-caught-up")
        with sqlite3.connect(file) as database:
            count, ids = database.execute("SELECT count(*), sum(id) FROM orders").fetchone()
        if [str(count), str(ids)] != expected.split("|")[:2]:
            raise BenchError(f"the sink has {count} rows with ids of sum {ids}, the source {expected}")
        return seconds

    results = {"pg_recvlogical": [], "cdc_consumer": []}
    runs = {"pg_recvlogical": run_drain, "cdc_consumer": run_consumer}
    for number in range(rounds + 1):
        order = list(runs) if number % 2 == 0 else list(reversed(runs))
        for name in order:
            server.sql(f"SELECT pg_copy_logical_replication_slot('{SOURCE_SLOT}', '{SLOT}')")
            seconds = runs[name]()
            server.wait_for(f"NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{SLOT}' AND active)",
                            "the walsender's end")
            server.drop_slot(SLOT)
            if number > 0:  # the first round only warms the caches
                results[name].append(seconds)
                progress(f"backlog: round {number}/{rounds}: {name} {significant(seconds)} s")
    server.drop_slot(SOURCE_SLOT)
    remove_sqlite(template)
    remove_sqlite(file)
    return {"changes": round(CHANGES * scale), "seconds": results}


# --- a snapshot into PostgreSQL -------------------------------------------------------------------------------------


def measure_snapshot(server, consumer, rounds, scale):
    fresh_source(server)
    rows = round(ROWS * scale)
    progress(f"snapshot: writing {rows:,} rows")
    server.sql(f"INSERT INTO orders SELECT * FROM bench_orders(1, {rows})")
    server.sql("VACUUM ANALYZE orders")
    expected = server.sql("SELECT count(*), sum(id), sum(amount) FROM orders")

    def in_target(statement):
        os.environ["PGDATABASE"] = "bench_target"
        try:
            return server.sql(statement)
        finally:
            os.environ["PGDATABASE"] = "bench"

    def fresh_target():
        server.sql("DROP DATABASE IF EXISTS bench_target")
        server.sql("CREATE DATABASE bench_target")
        server.sql("CHECKPOINT")

    def run_dump():
        fresh_target()
        os.environ["PGDATABASE"] = "bench_target"
        server.run_file(HERE / "workloads" / "orders.schema.sql")
        os.environ["PGDATABASE"] = "bench"
        started = time.perf_counter()
        dump = subprocess.Popen([server.bindir / "pg_dump", "--data-only", "-t", "public.orders", "bench"],
                                stdout=subprocess.PIPE)
        load = subprocess.run([server.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "bench_target"],
                              stdin=dump.stdout, stdout=subprocess.DEVNULL)
        if dump.wait() != 0 or load.returncode != 0:
            raise BenchError("pg_dump or psql failed")
        return time.perf_counter() - started

    def run_consumer():
        fresh_target()
        return consumer.run("resnapshot", "bench", f"postgres:{CONNINFO.format('bench_target')}")

    results = {"pg_dump | psql": [], "cdc_consumer": []}
    runs = {"pg_dump | psql": run_dump, "cdc_consumer": run_consumer}
    for number in range(rounds):
        for name in list(runs) if number % 2 == 0 else list(reversed(runs)):
            results[name].append(runs[name]())
            if in_target("SELECT count(*), sum(id), sum(amount) FROM orders") != expected:
                raise BenchError(f"{name}: the target is not equal to the source")
            progress(f"snapshot: round {number + 1}/{rounds}: {name} {significant(results[name][-1])} s")
    server.drop_slot(SLOT)
    server.sql("DROP DATABASE bench_target")
    return {"rows": rows, "seconds": results}


# --- latency --------------------------------------------------------------------------------------------------------


def follow(file, last_id, deadline):
    """When each id was seen first by a reader of the sink: (id, Unix time)."""
    seen, newest = [], 0
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)
    while newest < last_id:
        found = database.execute("SELECT max(id) FROM orders").fetchone()[0] or 0
        now = time.time()
        if found > newest:
            seen.append((found, now))
            newest = found
        elif now > deadline:
            raise BenchError("the sink does not get the last row")
        time.sleep(0.001)
    database.close()
    return seen


def measure_latency(server, consumer, scale, folder):
    """Commit to sink, of one writer at a fixed rate, whose ids ascend with its commits."""
    fresh_source(server)
    if server.sql("SHOW track_commit_timestamp") != "on":
        raise BenchError("this measurement needs track_commit_timestamp")
    file = folder / "latency.db"
    remove_sqlite(file)
    running = consumer.start("run", "bench", f"sqlite:{file}")
    try:
        while not file.exists() or not server.sql("SELECT active FROM pg_replication_slots") == "t":
            if running.poll() is not None:
                raise BenchError(running.stderr.read())
            time.sleep(0.05)
        server.sql("CREATE SEQUENCE ids")
        script = folder / "latency.sql"
        # Constants: bench_orders() would take longer than the commit.
        script.write_text(
            "INSERT INTO orders VALUES (nextval('ids'), 4711, 'Leave it with the neighbour', 12.34, 1, 0.5, now(), "
            "'SKU-C4CA42', '{\"channel\": \"web\", \"items\": 3}', true, "
            "'c4ca4238-a0b9-2382-0dcc-509a6f75849b');\n")
        seconds = max(5, round(20 * scale))
        transactions = LATENCY_RATE * seconds
        time.sleep(1)
        # What a commit leaves to the WAL writer, as those of the other measurements do, is decoded when that wakes up.
        environment = {**os.environ, "PGOPTIONS": "-c synchronous_commit=on"}
        writer = subprocess.Popen(
            [server.bindir / "pgbench", "-n", "-c", "1", "-R", str(LATENCY_RATE), "-t", str(transactions), "-M",
             "prepared", "-f", script, "bench"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment)
        seen = follow(file, transactions, time.time() + 20 * seconds)
        report, errors = writer.communicate()
        if writer.returncode != 0:
            raise BenchError(errors.strip())
        rate = float(report.split("tps = ")[1].split()[0])
    finally:
        running.send_signal(signal.SIGTERM)
        consumer.finish(running)
    commits = server.sql("SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM orders ORDER BY id")
    latencies, index = [], 0
    for line in commits.splitlines():
        row, committed = line.split("|")
        while seen[index][0] < int(row):
            index += 1
        latencies.append((seen[index][1] - float(committed)) * 1000)
    latencies.sort()
    remove_sqlite(file)
    server.drop_slot(SLOT)
    return {
        "transactions": transactions,
        "rate": rate,
        "p50_ms": latencies[len(latencies) // 2],
        "p99_ms": latencies[len(latencies) * 99 // 100],
        "max_ms": latencies[-1],
    }


# --- results --------------------------------------------------------------------------------------------------------


def pair_rows(seconds, amount):
    baseline = next(iter(seconds))
    rows = []
    for name, values in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(values, seconds[baseline])]
        rows.append([
            name, significant(statistics.median(values)), f"{significant(min(values))} – {significant(max(values))}",
            f"{amount / statistics.median(values):,.0f}", f"{statistics.median(ratios):.2f}",
        ])
    return rows


def latency_rows(runs):
    rows = []
    for name in ("p50", "p99", "max"):
        values = [run[f"{name}_ms"] for run in runs]
        rows.append([name, f"{statistics.median(values):.1f}", f"{min(values):.1f} – {max(values):.1f}"])
    return rows


def main():
    parser = argument_parser("consumer", __doc__.split("\n", 1)[0], PARTS)
    parser.add_argument("--rounds", type=positive(int), default=3, help="runs of each (default 3)")
    parser.add_argument("--consumer", type=Path, help="the program (default: the staged one)")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    server = Server(arguments.bindir, arguments.data_dir)
    consumer = Consumer(arguments.consumer or Path(os.environ["CDC_CONSUMER"]))
    report = {"machine": machine_line(server), "date": datetime.date.today().isoformat()}
    text = [f"Machine: {report['machine']}.\n\n{report['date']}, {arguments.rounds} rounds."]
    if "backlog" in arguments.parts:
        report["backlog"] = measure_backlog(server, consumer, arguments.rounds, arguments.scale, arguments.out)
        text += [f"A backlog of {report['backlog']['changes']:,} changes of orders, into SQLite:", markdown_table(
            ["", "median s", "min – max", "changes/s", "ratio"],
            pair_rows(report["backlog"]["seconds"], report["backlog"]["changes"]))]
    if "snapshot" in arguments.parts:
        report["snapshot"] = measure_snapshot(server, consumer, arguments.rounds, arguments.scale)
        text += [f"A copy of {report['snapshot']['rows']:,} rows of orders, into PostgreSQL:", markdown_table(
            ["", "median s", "min – max", "rows/s", "ratio"],
            pair_rows(report["snapshot"]["seconds"], report["snapshot"]["rows"]))]
    if "latency" in arguments.parts:
        report["latency"] = runs = []
        for number in range(arguments.rounds):
            runs.append(measure_latency(server, consumer, arguments.scale, arguments.out))
            progress(f"latency: round {number + 1}/{arguments.rounds}: p99 {runs[-1]['p99_ms']:.1f} ms")
        rate = statistics.median(run["rate"] for run in runs)
        text += [f"Commit to sink (SQLite) of {runs[0]['transactions']:,} transactions at {rate:,.0f} per second, "
                 "in milliseconds:", markdown_table(["", "median", "min – max"], latency_rows(runs))]
    report["max_rss_kb"] = consumer.max_rss
    text.append(f"Largest resident memory of the consumer: {consumer.max_rss:,} kB.")
    write_results(arguments.out, "consumer", "\n\n".join(text), report)
    return 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
