"""Compares ways to get changes out of a database: polling, dual writes, an outbox, and the log.

The same application writes orders into PostgreSQL, and each method carries them into a SQLite file. First at a modest
rate, to see when and whether changes arrive and what they cost the server; then without a pause, while application and
relay are killed again and again, to see what is left of a crash; then pgbench writes as fast as it can.
"""

import datetime
import os
import random
import signal
import sqlite3
import statistics
import sys
import threading
import time
from multiprocessing import Process
from pathlib import Path

from common import (
    BenchError,
    Server,
    argument_parser,
    cost_table,
    fail_clearly,
    machine_line,
    markdown_table,
    positive,
    progress,
    significant,
    turns,
    write_results,
)
from consumer import Consumer, remove_sqlite

PARTS = ("rate", "crash", "tps")
FINAL_ORDER = 999_999_999  # written last: when it has arrived, so has what can arrive
TPS_ROWS = 10_000


def wal_position(server):
    return int(server.sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))


# --- one method that is set up --------------------------------------------------------------------------------------


class Follower(threading.Thread):
    """Notes when a reader of the target sees each change first."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file, self.seen, self.stopped = file, [], threading.Event()

    def run(self):
        target = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, isolation_level=None)
        newest = 0
        while not self.stopped.is_set():
            rows = target.execute("SELECT number, op, id, change FROM seen WHERE number > ?", (newest,)).fetchall()
            now = time.time()
            for number, op, order, change in rows:
                self.seen.append((op, order, change, now))
                newest = number
            time.sleep(0.002)
        target.close()

    def stop(self):
        self.stopped.set()
        self.join()


class Setup:
    """A fresh source and target for a method, and its relay."""

    def __init__(self, server, name, program, folder):
        import application  # needs psycopg2, which is there once the arguments were found to be right

        self.application = application
        self.server, self.name, self.method = server, name, application.METHODS[name]
        self.file = folder / "methods.db"
        remove_sqlite(self.file)
        server.fresh_database("bench")
        server.sql(application.SOURCE_SQL)
        if self.method.relay == "poll":
            server.sql("CREATE INDEX ON orders (updated_at)")
        self.consumer = Consumer(program, tables="public.outbox" if self.method.outbox else "public.orders")
        self.running = None
        if self.method.relay == "consumer":
            server.sql("CREATE EXTENSION cdc_plugin")
            self.init_sql = folder / "methods.init.sql"
            self.init_sql.write_text(
                application.OUTBOX_TARGET_SQL if self.method.outbox else application.TARGET_SQL, encoding="utf-8")
        else:
            application.open_target(self.file).executescript(application.TARGET_SQL)
        self.start_relay()
        self.wait_for_target("SELECT count(*) FROM sqlite_master WHERE name = 'seen'", "the start of the relay")
        session = application.Session(self.method, self.file)
        for order in application.SHARED_ORDERS:
            session.write("insert", order, order)

    def start_relay(self):
        if self.method.relay == "consumer":
            self.server.wait_for("NOT EXISTS (SELECT FROM pg_replication_slots WHERE active)", "the walsender's end")
            self.running = self.consumer.start(
                "run", "bench", f"sqlite:{self.file}", "--init-sql", self.init_sql)
        elif self.method.relay:
            self.running = Process(target=self.application.POLLERS[self.method.relay], args=(self.file,), daemon=True)
            self.running.start()

    def stop_relay(self):
        if self.method.relay == "consumer":
            self.running.send_signal(signal.SIGTERM)
            self.consumer.finish(self.running)
        elif self.method.relay:
            self.kill_relay()

    def kill_relay(self):
        if self.running is None:
            return
        self.running.kill()
        if self.method.relay == "consumer":
            self.running.communicate()
        else:
            self.running.join()

    def wait_for_target(self, query, what, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            if self.method.relay == "consumer" and self.running.poll() is not None:
                raise BenchError(f"cdc_consumer ended: {self.running.stderr.read().strip()}")
            if self.file.exists():
                try:
                    with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as target:
                        if target.execute(query).fetchone()[0]:
                            return
                except sqlite3.OperationalError:  # not made yet
                    pass
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: {what}: not within {seconds} s")
            time.sleep(0.02)

    def write_final_order(self):
        """When it has arrived, so has what came before it, if it comes at all."""
        self.application.Session(self.method, self.file).write("insert", FINAL_ORDER, FINAL_ORDER)
        if self.method.delivers:
            self.wait_for_target(f"SELECT count(*) FROM orders WHERE id = {FINAL_ORDER}", "the last order")

    def compare(self):
        """Orders in which source and target differ at the end."""
        lines = self.server.sql("SELECT id, state, change FROM orders").splitlines()
        source = {int(order): (int(state), int(change)) for order, state, change in (line.split("|") for line in lines)}
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as database:
            target = {row[0]: row[1:] for row in database.execute("SELECT id, state, change FROM orders")}
            sequence = database.execute("SELECT id, op, state FROM seen ORDER BY number").fetchall()
        newest, backwards = {}, 0
        for order, op, state in sequence:
            backwards += op != "delete" and state < newest.get(order, 0)
            newest[order] = max(state, newest.get(order, 0))
        lost = sorted(source.keys() - target.keys())
        extra = sorted(target.keys() - source.keys())
        stale = sorted(order for order in source.keys() & target.keys() if source[order] != target[order])
        examples = [f"order {order} is in the source only" for order in lost[:1]]
        examples += [f"order {order} is in the target only" for order in extra[:1]]
        examples += [f"order {order}: state {source[order][0]} in the source, {target[order][0]} in the target"
                     for order in stale[:1]]
        return {"rows": len(source), "lost": len(lost), "extra": len(extra), "stale": len(stale),
                "backwards": backwards, "examples": examples}


# --- at a rate ------------------------------------------------------------------------------------------------------


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


def measure_rate(setup, rate, seconds):
    server = setup.server
    cpu, wal = server.cpu_seconds(), wal_position(server)
    application = setup.application.Application(setup.method, setup.file, 1000, rate, seconds)
    follower = Follower(setup.file)  # only now: a thread must not be there when the application forks
    follower.start()
    events = application.finish()
    cpu, wal = server.cpu_seconds() - cpu, wal_position(server) - wal
    setup.write_final_order()
    setup.stop_relay()
    follower.stop()

    first_seen = {}
    for op, order, change, seen_at in follower.seen:
        first_seen.setdefault(("delete", order) if op == "delete" else change, seen_at)
    latencies, counts = [], {op: [0, 0] for op in ("insert", "update", "delete")}
    for op, order, change, committed, _ in events:
        seen_at = first_seen.get(("delete", order) if op == "delete" else change)
        counts[op][0] += 1
        if seen_at is not None:
            counts[op][1] += 1
            latencies.append((seen_at - committed) * 1000)
    return {
        "transactions": len(events),
        "per_second": len(events) / seconds,
        "written_seen": counts,
        "p50_ms": percentile(latencies, 0.5),
        "p99_ms": percentile(latencies, 0.99),
        "application_p50_ms": percentile([event[4] * 1000 for event in events], 0.5),
        "wal_bytes": wal / len(events),
        "cpu_ms": cpu * 1000 / len(events),
        "difference": setup.compare() if setup.method.delivers else None,
    }


# --- crashes --------------------------------------------------------------------------------------------------------


def measure_crashes(setup, kills):
    """Application and relay are killed together, at any moment, and started again."""
    chance = random.Random(20261121)
    for number in range(kills):
        if number > 0:
            setup.start_relay()
        application = setup.application.Application(setup.method, setup.file, (number + 1) * 1_000_000)
        time.sleep(chance.uniform(0.5, 1.5))
        application.kill()
        setup.kill_relay()
    setup.start_relay()
    setup.write_final_order()
    setup.stop_relay()
    return {"kills": kills, **setup.compare()}


# --- as fast as it can ----------------------------------------------------------------------------------------------


def measure_tps(setup, seconds, folder):
    setup.server.sql(
        "INSERT INTO orders SELECT i, 0, 0, 'Leave the parcel with the neighbour at no. 14', now() "
        f"FROM generate_series(1001, {1000 + TPS_ROWS}) i")
    script = folder / "methods.sql"
    update = "UPDATE orders SET state = state + 1, change = change + 1, updated_at = now() WHERE id = :id"
    if setup.method.outbox:
        update = (f"WITH changed AS ({update} RETURNING *) INSERT INTO outbox (op, id, state, change, note) "
                  "SELECT 'update', id, state, change, note FROM changed")
    script.write_text(f"\\set id random(1001, {1000 + TPS_ROWS})\n{update};\n")
    try:
        return setup.server.cost_of_pgbench(
            "-M", "prepared", "-c", "2", "-j", "2", "-f", script, "bench", seconds=seconds)
    finally:
        setup.kill_relay()


# --- results --------------------------------------------------------------------------------------------------------


def share(counts):
    written, seen = counts
    return f"{seen:,} of {written:,}"


def merge_rounds(rounds):
    """Medians of what was measured, sums of what was counted."""
    merged = {key: statistics.median([one[key] for one in rounds])
              for key, value in rounds[0].items() if isinstance(value, (int, float))}
    merged["written_seen"] = {op: [sum(counts) for counts in zip(*(one["written_seen"][op] for one in rounds))]
                              for op in rounds[0]["written_seen"]}
    if rounds[0]["difference"]:
        merged["difference"] = {kind: sum(one["difference"][kind] for one in rounds)
                                for kind in ("lost", "extra", "stale")}
    return merged


def rate_tables(results, titles):
    arrival, cost = [], []
    for name, rounds in results.items():
        result = merge_rounds(rounds)
        if "difference" in result:
            difference = result["difference"]
            arrival.append([
                titles[name], significant(result["p50_ms"]), significant(result["p99_ms"]),
                *(share(result["written_seen"][op]) for op in ("insert", "update", "delete")),
                *(f"{difference[kind]:,}" for kind in ("lost", "extra", "stale")),
            ])
        cost.append([
            titles[name], f"{result['wal_bytes']:,.0f}", significant(result["cpu_ms"]),
            significant(result["application_p50_ms"]), f"{result['per_second']:.0f}",
        ])
    return [
        markdown_table(["method", "p50 ms", "p99 ms", "inserts seen", "updates seen", "deletes seen", "rows lost",
                        "rows too many", "rows stale"], arrival),
        markdown_table(["each transaction", "WAL bytes", "server CPU ms", "application ms, p50", "per second"], cost),
    ]


def crash_table(results, titles):
    return markdown_table(
        ["method", "kills", "orders at the end", "lost", "too many", "stale", "seen going backwards"],
        [[titles[name], *(f"{result[key]:,}" for key in ("kills", "rows", "lost", "extra", "stale", "backwards"))]
         for name, result in results.items()])


def main():
    parser = argument_parser("methods", __doc__.split("\n", 1)[0], PARTS)
    parser.add_argument("--rate", type=positive(int), default=50, help="transactions per second (default 50)")
    parser.add_argument("--rounds", type=positive(int), default=3, help="runs of each, but for crashes (default 3)")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    from application import METHODS

    titles = {name: method.title for name, method in METHODS.items()}
    server = Server(arguments.bindir, arguments.data_dir)
    folder, scale = arguments.out, arguments.scale
    report = {"machine": machine_line(server), "date": datetime.date.today().isoformat(), "scale": scale}
    text = [f"Machine: {report['machine']}.\n\n{report['date']}, scale {scale:g}."]

    def set_up(name):
        return Setup(server, name, Path(os.environ["CDC_CONSUMER"]), folder)

    if "rate" in arguments.parts:
        results = report["rate"] = {name: [] for name in METHODS}
        for number, name in turns(METHODS, arguments.rounds):
            results[name].append(measure_rate(set_up(name), arguments.rate, max(5, round(20 * scale))))
            progress(f"rate: round {number + 1}/{arguments.rounds}: {name}: {results[name][-1]}")
        text += [f"### At {arguments.rate} transactions per second", *rate_tables(results, titles)]
    if "crash" in arguments.parts:
        results = report["crash"] = {}
        for name, method in METHODS.items():
            if method.delivers:
                results[name] = measure_crashes(set_up(name), max(2, round(20 * scale)))
                progress(f"crash: {name}: {results[name]}")
        text += ["### Killed again and again", crash_table(results, titles)]
        text += [f"{titles[name]}: {'; '.join(result['examples'])}." for name, result in results.items()
                 if result["examples"]]
    if "tps" in arguments.parts:
        names = [name for name, method in METHODS.items() if not method.second_write]
        results = report["tps"] = {name: [] for name in names}
        for number, name in turns(names, arguments.rounds):
            results[name].append(measure_tps(set_up(name), max(2, round(10 * scale)), folder))
            progress(f"tps: round {number + 1}/{arguments.rounds}: {name}: {results[name][-1]}")
        text += ["### As fast as pgbench can",
                 cost_table("method", {titles[name]: runs for name, runs in results.items()})]
    remove_sqlite(folder / "methods.db")
    write_results(folder, "methods", "\n\n".join(text), report)
    return 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
