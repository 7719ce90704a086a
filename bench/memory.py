"""Measures whether a walsender's memory grows while it streams.

Two runs, each with all the plugins streaming the same changes at the same time, to pg_recvlogical and /dev/null:
many changes of one table, and many tables that come and go. Samples are taken when every walsender has sent all there
is. PostgreSQL's own caches grow too: a plugin that emits nothing shows by how much.
"""

import datetime
import sys

from common import (
    HERE,
    BenchError,
    Server,
    argument_parser,
    choose_plugins,
    fail_clearly,
    machine_line,
    markdown_table,
    progress,
    write_results,
)

DEFAULT_PLUGINS = ("cdc_plugin", "pgoutput_binary", "floor_nothing")
CATCH_UP_SECONDS = 3600
CHANGES_PER_TRANSACTION = 100_000


class Stream:
    """A plugin that streams from a slot of its own until it is stopped."""

    def __init__(self, server, plugin):
        self.server = server
        self.plugin = plugin
        self.slot = f"bench_{plugin.name}"
        server.create_slot(self.slot, plugin.module)
        self.receiver = server.start_receiver(self.slot, plugin.options)
        active = f"EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND active)"
        try:
            server.wait_for(active, f"{plugin.name}: the start of the stream", seconds=20)
        except BenchError as error:
            self.receiver.kill()
            raise BenchError(self.receiver.communicate()[1].strip() or str(error)) from None
        self.walsender = int(server.sql(f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{self.slot}'"))

    def memory(self):
        """Resident kilobytes of the walsender: all, and what is neither shared memory nor a file."""
        if self.receiver.poll() is not None:
            raise BenchError(f"{self.plugin.name}: the stream ended: {self.receiver.stderr.read().strip()}")
        with open(f"/proc/{self.walsender}/status", encoding="ascii") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {"rss": int(fields["VmRSS"].split()[0]), "anon": int(fields["RssAnon"].split()[0])}

    def stop(self):
        self.receiver.terminate()
        self.receiver.communicate()
        inactive = f"NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{self.slot}' AND active)"
        self.server.wait_for(inactive, f"{self.plugin.name}: the end of the stream")


class Run:
    """All the plugins streaming, and the samples that are taken of them."""

    def __init__(self, server, plugins, title):
        self.server = server
        self.title = title
        self.streams = []
        self.samples = {plugin.name: {} for plugin in plugins}
        server.fresh_database("bench")
        server.run_file(HERE / "workloads" / "memory.sql")
        try:
            for plugin in plugins:
                self.streams.append(Stream(server, plugin))
        except BenchError:
            self.stop()
            raise

    def sample(self, label):
        """Once all walsenders have sent what there is."""
        target = self.server.sql("SELECT pg_current_wal_insert_lsn()")
        # A walsender that died never catches up; Stream.memory then says why.
        caught_up = (
            f"(SELECT count(*) FROM pg_stat_replication WHERE sent_lsn >= '{target}') = {len(self.streams)} "
            f"OR (SELECT count(*) FROM pg_replication_slots WHERE active) < {len(self.streams)}"
        )
        self.server.wait_for(caught_up, f"{self.title}: the plugins' catching up", CATCH_UP_SECONDS, interval=0.2)
        for stream in self.streams:
            self.samples[stream.plugin.name][label] = stream.memory()
        anonymous = ", ".join(f"{name} {taken[label]['anon'] / 1024:.1f} MB" for name, taken in self.samples.items())
        progress(f"{self.title}: at {label}: {anonymous}")

    def stop(self):
        for stream in self.streams:
            stream.stop()


def many_changes(server, plugins, scale):
    """10 million changes of one table after a warm-up of one million."""
    per_transaction = max(2, round(CHANGES_PER_TRANSACTION * min(1, scale * 10)))
    warm_up = max(1, round(1_000_000 * scale / per_transaction))
    measured = max(2, round(10_000_000 * scale / per_transaction))
    run = Run(server, plugins, "many changes")
    try:
        for transaction in range(warm_up + measured):
            done = transaction - warm_up  # measured transactions
            if done == 0:
                run.sample("warmed up")
            elif done == measured // 2:
                run.sample(f"{done * per_transaction:,} changes")
            server.sql(f"CALL bench_stream({transaction}, {transaction}, {per_transaction})")
            if transaction % 10 == 0:
                server.sql("VACUUM orders")
        run.sample(f"{measured * per_transaction:,} changes")
    finally:
        run.stop()
    return run.samples


def many_relations(server, plugins, scale):
    """5,000 relations, each created, filled, altered, changed again and dropped."""
    last = max(20, round(5000 * scale))
    run = Run(server, plugins, "many relations")
    try:
        done = 0
        for stop in (last // 10, last // 2, last):
            server.sql(f"CALL bench_relations({done + 1}, {stop})")
            done = stop
            run.sample(f"{done:,} relations")
    finally:
        run.stop()
    return run.samples


RUNS = {"many_changes": many_changes, "many_relations": many_relations}


def run_markdown(name, samples):
    labels = list(next(iter(samples.values())))
    header = ["walsender with"]
    header += [f"anonymous kB, {label}" for label in labels]
    header += ["growth", f"RSS kB, {labels[0]}", f"RSS kB, {labels[-1]}"]
    rows = []
    for plugin, taken in samples.items():
        anonymous = [taken[label]["anon"] for label in labels]
        rows.append(
            [plugin]
            + [f"{value:,}" for value in anonymous]
            + [f"{anonymous[-1] - anonymous[0]:+,}"]
            + [f"{taken[labels[i]]['rss']:,}" for i in (0, -1)]
        )
    return f"### {name}\n\n{RUNS[name].__doc__}\n\n" + markdown_table(header, rows)


def main():
    parser = argument_parser("memory", __doc__.split("\n", 1)[0])
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    server = Server(arguments.bindir, arguments.data_dir)
    plugins = choose_plugins(server, arguments.plugins, DEFAULT_PLUGINS)
    report = {"machine": machine_line(server), "date": datetime.date.today().isoformat(), "scale": arguments.scale}
    report["work_mem"] = server.sql("SHOW logical_decoding_work_mem")
    report["runs"] = {name: run(server, plugins, arguments.scale) for name, run in RUNS.items()}
    scale = "" if arguments.scale == 1 else f" **Scaled by {arguments.scale:g}**: not the size the figures are for."
    head = f"Machine: {report['machine']}.\n\n{report['date']}, logical_decoding_work_mem {report['work_mem']}.{scale}"
    text = "\n\n".join([head] + [run_markdown(name, samples) for name, samples in report["runs"].items()])
    write_results(arguments.out, "memory", text, report)
    return 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
