"""Measures how long output plugins take to decode the same WAL, and what it costs the walsender.

Each workload's WAL is written once, between the creation of a slot and an end position. A plugin is then run on a copy
of that slot, which pg_recvlogical drains to /dev/null. The plugins take turns within a round, in an order that rotates
from round to round, so that a slow minute of the machine hits all of them alike.
"""

import datetime
import statistics
import sys
import threading
import time
from dataclasses import dataclass

from common import (
    HERE,
    PLUGINS,
    BenchError,
    Server,
    argument_parser,
    choice_list,
    choose_plugins,
    fail_clearly,
    machine_line,
    markdown_table,
    positive,
    progress,
    significant,
    sql_literal,
    turns,
    write_results,
)

SOURCE, COPY = "bench_source", "bench_copy"
RUN_SECONDS = 1800  # after that a run counts as stuck
SAMPLE_SECONDS = 0.004


@dataclass(frozen=True)
class Workload:
    """Its SQL is in workloads/<name>.schema.sql, run before the slot exists, and <name>.changes.sql."""

    changes: int  # rows that it changes at scale 1
    description: str


WORKLOADS = {
    "orders": Workload(
        600_000, "500,000 row changes in three bulk transactions (insert, update, delete), then 100,000 of one row"
    ),
    "one_row": Workload(100_000, "100,000 transactions of one row: half inserts, the rest updates and deletes"),
    "wide_text": Workload(100_000, "20 text columns of about 100 characters, transactions of 1,000 rows"),
    "narrow_int": Workload(1_000_000, "4 integer columns, transactions of 10,000 rows"),
    "toast_jsonb": Workload(
        25_000, "a TOASTed jsonb document of 8 to 20 kB: inserts, updates that leave it alone, updates that change it"
    ),
    "one_big": Workload(1_000_000, "one transaction of 1,000,000 changes of the orders table"),
}


# --- one run --------------------------------------------------------------------------------------------------------


def cpu_seconds(pid):
    """CPU time of a process so far; None once it is gone."""
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as schedstat:
            return int(schedstat.read().split()[0]) / 1e9
    except (OSError, IndexError):
        return None


def run_once(server, plugin, end_lsn):
    """Drains a copy of the source slot up to end_lsn with this plugin; returns wall and walsender CPU seconds."""
    server.sql(
        f"SELECT pg_copy_logical_replication_slot('{SOURCE}', '{COPY}', false, {sql_literal(plugin.module)})"
    )
    try:
        started = time.perf_counter()
        # No status messages on the way: -s 0, and -F 0 for no flushes of the output.
        receiver = server.start_receiver(COPY, plugin.options, "--endpos", end_lsn, "-s", "0", "-F", "0")
        ended = []
        stderr = []

        def wait():
            stderr.append(receiver.stderr.read())
            receiver.wait()
            ended.append(time.perf_counter())

        waiter = threading.Thread(target=wait)
        waiter.start()
        walsender, cpu = None, None
        try:
            while not ended or cpu_still_counts(walsender):
                if walsender is None:
                    walsender = server.find_walsender()
                if walsender is not None:
                    cpu = cpu_seconds(walsender) or cpu
                if time.perf_counter() - started > RUN_SECONDS:
                    raise BenchError(f"did not reach {end_lsn} in {RUN_SECONDS} s")
                time.sleep(SAMPLE_SECONDS)
        finally:
            if receiver.poll() is None:
                receiver.kill()
            waiter.join()
        if receiver.returncode != 0:
            raise BenchError(stderr[0].strip() or f"pg_recvlogical ended with status {receiver.returncode}")
        return {"wall": ended[0] - started, "cpu": cpu}
    finally:
        server.wait_for(
            f"NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{COPY}' AND active)",
            "the walsender's end",
        )
        server.drop_slot(COPY)


def cpu_still_counts(walsender):
    return walsender is not None and cpu_seconds(walsender) is not None


def output_size(server, plugin, end_lsn):
    """Messages and their bytes, as the plugin made them: without the newline that pg_recvlogical adds to each."""
    options = "".join(f", {sql_literal(name)}, {sql_literal(value)}" for name, value in plugin.options.items())
    server.sql(
        f"SELECT pg_copy_logical_replication_slot('{SOURCE}', '{COPY}', false, {sql_literal(plugin.module)})"
    )
    try:
        answer = server.sql(
            "SELECT count(*), coalesce(sum(octet_length(data)), 0) "
            f"FROM pg_logical_slot_peek_binary_changes('{COPY}', '{end_lsn}', NULL{options})"
        )
    finally:
        server.drop_slot(COPY)
    messages, octets = map(int, answer.split("|"))
    return {"messages": messages, "bytes": octets}


# --- one workload ---------------------------------------------------------------------------------------------------


def write_wal(server, name, scale):
    """Runs the workload; returns the position where it ends and how many bytes of WAL it wrote."""
    server.fresh_database("bench")
    server.run_file(HERE / "workloads" / f"{name}.schema.sql")
    server.sql("CHECKPOINT")
    server.create_slot(SOURCE, "test_decoding")  # never read from; the copies say which plugin they are for
    start = server.sql(f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{SOURCE}'")
    server.run_file(HERE / "workloads" / f"{name}.changes.sql", scale)
    end = server.sql("SELECT pg_current_wal_insert_lsn()")
    # The tail: a record beyond the end. A walsender that has decoded all there is says so at once, and pg_recvlogical
    # ends when it hears that; no plugin has to emit something, or to wait, for it.
    server.sql("SELECT pg_logical_emit_message(false, 'bench', 'tail')")
    server.wait_for("pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()", "the flush of the WAL")
    return end, int(server.sql(f"SELECT pg_wal_lsn_diff('{end}', '{start}')::bigint"))


def measure(server, name, plugins, rounds, scale):
    progress(f"{name}: writing the WAL")
    end_lsn, wal_bytes = write_wal(server, name, scale)
    results = {plugin.name: {"wall": [], "cpu": []} for plugin in plugins}
    for plugin in plugins:
        # Comes first, so that it also warms the caches up for the timed rounds.
        attempt(results[plugin.name], name, plugin, lambda p=plugin: output_size(server, p, end_lsn))
    for number, plugin in turns(plugins, rounds):
        run = attempt(results[plugin.name], name, plugin, lambda p=plugin: run_once(server, p, end_lsn))
        if run is not None:
            progress(
                f"{name}: round {number + 1}/{rounds}: {plugin.name} {significant(run['wall'])} s, "
                f"CPU {significant(run['cpu'])} s"
            )
    return {
        "changes": round(WORKLOADS[name].changes * scale),
        "wal_bytes": wal_bytes,
        "end_lsn": end_lsn,
        "plugins": results,
    }


def attempt(result, workload, plugin, step):
    """Runs the step and adds what it returns to the result. A plugin that failed is not run again."""
    if "error" in result:
        return None
    try:
        values = step()
    except BenchError as error:
        result["error"] = str(error)
        progress(f"{workload}: {plugin.name} FAILED: {error}")
        return None
    for key, value in values.items():
        if isinstance(result.get(key), list):
            result[key].append(value)
        else:
            result[key] = value
    return values


# --- results --------------------------------------------------------------------------------------------------------


def median(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def workload_markdown(name, measured):
    results = measured["plugins"]
    walls = {plugin: median(result["wall"]) for plugin, result in results.items() if "error" not in result}

    def ratio(plugin, reference):
        return f"{walls[plugin] / walls[reference]:.2f}" if walls.get(reference) else "–"

    rows = []
    for plugin, result in results.items():
        if "error" in result:
            rows.append([plugin, "failed"] + ["–"] * 8)
            continue
        rows.append(
            [
                plugin,
                significant(walls[plugin]),
                f"{significant(min(result['wall']))} – {significant(max(result['wall']))}",
                significant(median(result["cpu"])),
                f"{measured['changes'] / walls[plugin] / 1000:,.0f}",
                f"{result['bytes'] / 1e6:,.1f}",
                f"{result['messages']:,}",
                ratio(plugin, "cdc_plugin"),
                ratio(plugin, "floor_rawcopy"),
                ratio(plugin, "floor_nothing"),
            ]
        )
    header = ["plugin", "wall s", "min – max", "CPU s", "1,000 changes/s", "MB out", "messages"]
    header += ["× cdc_plugin", "× raw copy", "× nothing"]
    failures = [f"\n{plugin} failed: {result['error']}" for plugin, result in results.items() if "error" in result]
    return (
        f"### {name}\n\n{WORKLOADS[name].description}: {measured['changes']:,} changes, "
        f"{measured['wal_bytes'] / 1e6:,.0f} MB of WAL.\n\n" + markdown_table(header, rows) + "".join(failures)
    )


def markdown(report):
    scale = "" if report["scale"] == 1 else f" **Scaled by {report['scale']:g}**: not the size the figures are for."
    head = (
        f"Machine: {report['machine']}.\n\n"
        f"Medians, rounds: {report['rounds']}, {report['date']}, logical_decoding_work_mem {report['work_mem']}.{scale}"
    )
    return "\n\n".join([head] + [workload_markdown(name, result) for name, result in report["workloads"].items()])


def main():
    parser = argument_parser("decode", __doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=positive(int), default=5, metavar="N", help="timed runs (default 5)")
    parser.add_argument(
        "--workloads",
        type=choice_list(WORKLOADS),
        default=list(WORKLOADS),
        metavar="A,B",
        help=f"of: {', '.join(WORKLOADS)}",
    )
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    server = Server(arguments.bindir, arguments.data_dir)
    plugins = choose_plugins(server, arguments.plugins, list(PLUGINS))
    report = {
        "machine": machine_line(server),
        "date": datetime.date.today().isoformat(),
        "work_mem": server.sql("SHOW logical_decoding_work_mem"),
        "rounds": arguments.rounds,
        "scale": arguments.scale,
        "options": {plugin.name: plugin.options for plugin in plugins},
        "workloads": {},
    }
    for name in arguments.workloads:
        report["workloads"][name] = measure(server, name, plugins, arguments.rounds, arguments.scale)
    write_results(arguments.out, "decode", markdown(report), report)
    if arguments.keep:
        last = report["workloads"][arguments.workloads[-1]]
        progress(f"the last workload's WAL waits in database bench behind slot {SOURCE}; it ends at {last['end_lsn']}")
    measured = [result for workload in report["workloads"].values() for result in workload["plugins"].values()]
    return 1 if any("error" in result for result in measured) else 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
