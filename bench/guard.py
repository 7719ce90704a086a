"""Measures what the guard costs: transactions per second of pgbench beside it, the time of a sample, and its memory.

The guard samples many slots every second in half of the runs and is turned off in the others; the runs take turns. Then
it samples as fast as it can, to see whether its memory stays level.
"""

import datetime
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import BenchError, Server, argument_parser, fail_clearly, machine_line, markdown_table, positive, progress
from common import write_results

SLOTS = 100
CLIENTS = 2


def set_guard(server, enabled, interval_ms):
    server.sql(f"ALTER SYSTEM SET cdc_plugin.guard_enabled = {'on' if enabled else 'off'}")
    server.sql(f"ALTER SYSTEM SET cdc_plugin.guard_interval = {interval_ms}")
    server.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)


def status(server, column):
    return server.sql(f"SELECT {column} FROM cdc.guard_status()")


def throughput(server, rounds, seconds):
    """tps of each run with the guard and without; which comes first alternates."""
    results = {"off": [], "on": []}
    samples = 0
    for number in range(rounds):
        for state in ("off", "on") if number % 2 == 0 else ("on", "off"):
            set_guard(server, state == "on", 1000)
            before = int(status(server, "samples"))
            results[state].append(server.pgbench("-c", CLIENTS, "-j", CLIENTS, "-T", seconds, "bench"))
            taken = int(status(server, "samples")) - before
            if (taken < seconds - 2) == (state == "on"):
                raise BenchError(f"the guard took {taken} samples in {seconds} s while it was {state}")
            samples += taken
            progress(f"round {number + 1}/{rounds}: guard {state}: {results[state][-1]:.0f} tps")
    return results, samples


def worker_memory(pid):
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return {"rss": int(fields["VmRSS"].split()[0]), "anon": int(fields["RssAnon"].split()[0])}


def memory(server, samples):
    """The worker's memory after a hundredth of the samples, half of them, and all."""
    set_guard(server, True, 1)
    pid = status(server, "worker_pid")
    first = int(status(server, "samples"))
    taken = {}
    for goal in (samples // 100, samples // 2, samples):
        while int(status(server, "samples")) - first < goal:
            time.sleep(0.5)
        taken[f"{goal:,} samples"] = worker_memory(pid)
        progress(f"after {goal:,} samples: {taken[f'{goal:,} samples']}")
    if status(server, "worker_pid") != pid:
        raise BenchError("the worker was restarted")
    set_guard(server, True, 1000)
    return taken


def main():
    parser = argument_parser("guard", __doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=positive(int), default=7, help="runs of pgbench with and without (default 7)")
    parser.add_argument("--seconds", type=positive(int), default=20, help="length of a run (default 20)")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    server = Server(arguments.bindir, arguments.data_dir)
    server.fresh_database("bench")
    server.sql("CREATE EXTENSION cdc_plugin")
    subprocess.run([server.bindir / "pgbench", "-i", "-q", "-s", "10", "bench"], check=True, capture_output=True)
    # Copies of one slot that nobody reads: all of them retain WAL, and their cause is asked for at each sample.
    server.create_slot("bench_0", "cdc_plugin")
    for number in range(1, SLOTS):
        server.sql(f"SELECT pg_copy_logical_replication_slot('bench_0', 'bench_{number}')")

    results, _ = throughput(server, arguments.rounds, arguments.seconds)
    ratios = [on / off for on, off in zip(results["on"], results["off"])]
    cost = {name: float(status(server, f"{name}_sample_us")) for name in ("mean", "max")}
    report = {
        "machine": machine_line(server),
        "date": datetime.date.today().isoformat(),
        "tps": results,
        "ratio": statistics.median(ratios),
        "sample_us": cost,
        "memory": memory(server, max(100, round(100_000 * arguments.scale))),
    }
    rows = [
        [f"guard {state}", f"{statistics.median(tps):,.0f}", f"{min(tps):,.0f} – {max(tps):,.0f}"]
        for state, tps in results.items()
    ]
    labels = list(report["memory"])
    text = "\n\n".join(
        [
            f"Machine: {report['machine']}.\n\n{report['date']}, {SLOTS} slots, {CLIENTS} clients, "
            f"{arguments.rounds} rounds of {arguments.seconds} s.",
            markdown_table(["pgbench", "median tps", "min – max"], rows),
            f"Ratio on / off, median of pairs: **{report['ratio']:.3f}** ({min(ratios):.3f} – {max(ratios):.3f}).",
            f"A sample of {SLOTS} slots takes {cost['mean']:.0f} µs on average, {cost['max']:.0f} µs at most.",
            markdown_table(
                ["worker's memory"] + labels,
                [
                    [f"{kind} kB"] + [f"{report['memory'][label][kind]:,}" for label in labels]
                    for kind in ("anon", "rss")
                ],
            ),
        ]
    )
    write_results(arguments.out, "guard", text, report)
    return 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
