"""What the variants of the drill share: the server's settings, what runs beside the steps, and steps of all of them."""

import re
import time

from cluster import wait_until
from common import machine_line
from consumer import Consumer
from sampler import Listener, Sampler
from steps import Steps, check, megabytes
from writer import Writer

SLOT = "orders"
SEGMENT = 1 << 20  # of initdb --wal-segsize=1
SCHEMA = """
CREATE EXTENSION cdc_plugin;
CREATE TABLE orders (
    id bigint PRIMARY KEY, customer text NOT NULL, total numeric(12,2) NOT NULL, items jsonb NOT NULL,
    placed_at timestamptz NOT NULL);
ALTER TABLE orders REPLICA IDENTITY FULL;
INSERT INTO orders SELECT n, 'customer ' || n % 20, n, '{"sku": "A-1"}', now() FROM generate_series(1, 200) AS n;
"""
# The guard's times are the defaults with seconds in place of minutes, because the drill's cap is used up in little more
# than a minute. Checkpoints come every few segments, and WAL that no slot holds is removed.
SETTINGS = {
    "shared_preload_libraries": "'cdc_plugin'",
    "max_wal_size": "16MB",
    "log_timezone": "'UTC'",
    "log_checkpoints": "off",
    "wal_sender_timeout": "'40s'",
    "cdc_plugin.guard_interval": "'1s'",
    "cdc_plugin.guard_grace": "'20s'",
    "cdc_plugin.guard_time_left": "'notice=60s, warning=20s, critical=5s'",
}


class Variant:
    """One drill: its steps, and what was measured meanwhile."""

    title = ""
    rate = 0.75  # MB of WAL in a second
    capped = True

    def __init__(self, cluster, options):
        self.cluster = cluster
        self.options = options
        self.machine = machine_line(cluster)
        self.steps = Steps()
        self.writer = Writer(cluster, options.rate * SEGMENT)
        self.sampler = Sampler(cluster)
        self.listener = Listener(cluster)
        self.consumers = []
        self.alerts = []  # those that steps waited for
        self.frozen_at = None
        self.events = []  # (Unix time, label) for the plot
        self.commands = []  # (title, command, seconds, what it printed) of the runbook

    @classmethod
    def server_settings(cls, options):
        """Lines for postgresql.conf; those that were given with --set win."""
        cap = {"max_slot_wal_keep_size": f"{options.cap}MB" if cls.capped else "-1"}
        return {**SETTINGS, **cap, **dict(options.set)}

    def run(self):
        """All steps; ends what runs beside them, however they end."""
        try:
            self.drill()
        finally:
            for thread in (self.writer, self.sampler, self.listener):
                if thread.is_alive():
                    thread.stop()
            for consumer in self.consumers:
                consumer.kill()

    def drill(self):
        """The steps, in their order."""
        raise NotImplementedError

    def reached(self):
        """When the limit was reached, as Unix time; None where that is not what happens."""
        return None

    def limits(self):
        """(MB, label) of lines in the plot."""
        return []

    def summary(self):
        """(name, value) of the figures for the report."""
        raise NotImplementedError

    def first_alert(self):
        """Its figures for the report."""
        return [
            ("first alert, after the freeze", f"{self.alerts[0]['at'] - self.frozen_at:.1f} s"),
            ("headroom that was left then", f"{self.alerts[0]['share']:.0%}"),
        ]

    def mark(self, label):
        self.events.append((time.time(), label))

    # --- steps --------------------------------------------------------------------------------------------------------

    def start(self, *slots):
        """The table, a consumer for each slot, and then the writer and those who watch."""
        for statement in SCHEMA.strip().split(";\n"):
            self.cluster.rows(statement)
        self.listener.start()
        check(self.listener.listening.wait(60), "the listener does not get a session")
        for slot in slots:
            self.consumers.append(Consumer(self.options.consumer, self.options.work, slot))
        for consumer in self.consumers:
            consumer.start()
        for consumer in self.consumers:
            consumer.wait_for_copy()
        copied = self.consumers[0].query("SELECT count(*) FROM orders")[0][0]
        source = self.cluster.row("SELECT count(*) FROM orders")["count"]
        check(copied == source, f"{copied} of {source} rows were copied")
        self.writer.start()
        self.sampler.start()
        began = time.monotonic()
        wait_until("the writer writes", lambda: len(self.writer.committed) >= 20, watch=self.watch_writer)
        wait_until("the sampler samples", lambda: all(self.sampler.last(slot) for slot in slots))
        rows = self.consumers[0].query("SELECT count(*) FROM orders")[0][0]
        return f"{copied} rows copied, {rows} in the sink {time.monotonic() - began:.0f} s later; the writer runs"

    def watch_writer(self):
        check(not self.writer.errors, f"a write failed: {self.writer.errors and self.writer.errors[0][1]}")

    def freeze(self, consumer):
        """SIGSTOP: it stays connected, and takes nothing."""
        # The slot's start is up to 15 s old; from a fresh one, runs can be compared. A checkpoint lets it move.
        def is_fresh():
            self.cluster.rows("CHECKPOINT")
            time.sleep(1)
            return self.cluster.slot(consumer.slot)["retained_bytes"] < 2 * SEGMENT

        wait_until(f"slot {consumer.slot} moves on", is_fresh, watch=consumer.check)
        consumer.freeze()
        self.frozen_at = time.time()
        self.mark("frozen")
        return f"SIGSTOP to process {consumer.process.pid}, with {self.retained(consumer.slot)} retained"

    def stall(self, consumer):
        """Steps: from the freeze to the last alert before the limit."""
        run = self.steps.run
        run("The consumer is frozen", self.freeze, consumer)
        run("Retained WAL climbs", self.climb, SLOT, 5)
        run("First a NOTICE", self.alert, "notice", True)
        run("Then a WARNING", self.alert, "warning")
        run("Then critical", self.alert, "critical")

    def retained(self, slot):
        return megabytes(self.cluster.slot(slot)["retained_bytes"])

    def wait_for_consumer(self, consumer):
        """Until it has confirmed what is committed now."""
        lsn = self.cluster.row("SELECT pg_current_wal_lsn() AS lsn")["lsn"]
        wait_until(f"consumer {consumer.slot} confirms {lsn}", lambda: self.cluster.row(
            "SELECT confirmed_flush_lsn >= %s AS done FROM pg_replication_slots WHERE slot_name = %s", lsn,
            consumer.slot)["done"], watch=consumer.check)

    def climb(self, slot, megabytes_more):
        """Until retained WAL has grown by so much, as the samples show it."""
        first = wait_until("a sample", lambda: self.sampler.of(slot, self.frozen_at))[0]["retained_bytes"]
        wait_until("retained WAL climbs", lambda: self.sampler.last(slot)["retained_bytes"]
                   > first + megabytes_more * SEGMENT, watch=self.watch_writer)
        last = self.sampler.last(slot)
        return (f"{megabytes(first)} to {megabytes(last['retained_bytes'])} in {last['at'] - self.frozen_at:.0f} s, "
                f"cause {last['cause']}")

    def alert(self, level, first=False):
        """Waits for the guard's next level; it must be heard, logged and in cdc.alerts, with the time that is left."""
        def too_late():
            last = self.sampler.last(SLOT)
            check(last["level"] != "lost" and not self.server_is_lost(), f"it is too late, and no alert {level} came")
            if first and last["cap_bytes"]:
                check(last["headroom_bytes"] > 0.4 * last["cap_bytes"],
                      f"{megabytes(last['retained_bytes'])} are retained, more than half of the cap, and the guard is "
                      "silent")

        alert = wait_until(f"alert {level}", lambda: self.listener.find(SLOT, level, self.frozen_at), watch=too_late)
        severity = "NOTICE" if level == "notice" else "WARNING"
        logged = self.cluster.logged(f"{severity}:  {re.escape(alert['message'])}")
        check(logged, f"the alert was sent, and the server's log has no {severity} of it")
        ring = self.cluster.row("SELECT level, cap_bytes FROM cdc.alerts WHERE alert = %s", alert["number"])
        check(ring and ring["level"] == level, "the alert was sent, and cdc.alerts does not have it")
        check(alert["seconds_to_cap"] is not None, "the alert does not say how much time is left")
        share = alert["headroom_bytes"] / (alert["retained_bytes"] + alert["headroom_bytes"])
        if first:
            check(share >= 0.5, f"the first alert came with only {share:.0%} of the headroom left")
        self.alerts.append({**alert, "at": logged[0][0], "severity": severity, "share": share})
        self.events.append((logged[0][0], level))
        return (f"{severity} {logged[0][0] - self.frozen_at:.0f} s after the freeze: {share:.0%} of the headroom is "
                f"left, for {alert['seconds_to_cap']:.0f} s as predicted; cause {alert['cause']}")

    def server_is_lost(self):
        return False

    def runbook(self, slot, perform):
        """Does what cdc.runbook() prints for a slot, step by step. `perform(step)` does one, and returns its output."""
        steps = self.cluster.rows("SELECT * FROM cdc.runbook(%s) ORDER BY step", slot)
        check(steps, "the runbook is empty")
        for step in steps:
            began = time.monotonic()
            output = perform(step)
            self.commands.append((step["title"], step["command"], time.monotonic() - began, output))
        return steps

    def paste(self, command):
        """A command of the runbook, as a person pastes it into psql."""
        return self.cluster.psql(stdin=command)

    def equal(self, consumer):
        """Source and sink, when the writer has stopped and the consumer has everything."""
        self.wait_for_consumer(consumer)
        differences = consumer.differences(self.cluster)
        check(not differences, "; ".join(differences))
        rows = self.cluster.row("SELECT count(*), count(DISTINCT customer) AS customers FROM orders")
        check(rows["count"] == consumer.query("SELECT count(*) FROM orders")[0][0], "the numbers of rows differ")
        return f"{rows['count']} rows of orders and {rows['customers']} of its view are equal"

    def no_write_failed(self):
        self.watch_writer()
        check(self.writer.committed, "nothing was written")
        return (f"{len(self.writer.committed):,} transactions, {self.writer.statements:,} statements, "
                f"{len(self.writer.errors)} errors, longest pause {self.writer.longest_pause():.2f} s")
