"""The main drill: a consumer stalls, the guard says so, the cap gives up the slot, and the runbook brings it back."""

import time

from cluster import DrillError, wait_until
from steps import check, megabytes
from variant import SEGMENT, SLOT, Variant

RECORDER = "recorder"
CUSTOMER = "Zoë"
GONE, CHANGED, NEW = range(1, 41), range(41, 81), range(201, 241)  # ids in the gap


class Capped(Variant):
    """With max_slot_wal_keep_size."""

    title = "A consumer stalls, with a cap"
    lost_at = None

    def drill(self):
        run = self.steps.run
        run("Copy `orders` and follow it", self.start, SLOT)
        consumer = self.consumers[0]
        run("The cap is there", self.cap_is_there)
        run("Insert, update and delete appear downstream", self.appear, consumer)
        run("The delete carries the full old row", self.old_row)
        run("The consumer keeps up", self.keep_up)
        run("The same events replayed change nothing", self.replay, consumer)
        self.stall(consumer)
        run("The cap invalidates the slot", self.lose)
        run("The primary goes on taking writes", self.goes_on)
        run("Rows change in the gap", self.change_in_gap, consumer)
        run("Recovery as the runbook prints it", self.recover, consumer)
        run("The slot is well again", self.well)
        self.writer.stop()
        run("Source equals sink, row for row", self.equal, consumer)
        run("What was deleted in the gap is gone", self.gap_is_closed, consumer)
        run("No write failed", self.no_write_failed)

    def cap_is_there(self):
        slot = self.cluster.slot(SLOT)
        cap = self.options.cap * SEGMENT
        check(slot["cap_source"] == "max_slot_wal_keep_size" and slot["cap_bytes"] == cap,
              f"the nearest limit is {slot['cap_source']}, {slot['cap_bytes']} bytes")
        seconds = self.options.cap / self.options.rate
        return f"{megabytes(cap)}, {seconds:.0f} s of the writer's {self.options.rate} MB/s"

    # --- capture ------------------------------------------------------------------------------------------------------

    def appear(self, consumer):
        """Each with the time until a reader of the derived view sees it."""
        self.cluster.rows("SELECT pg_create_logical_replication_slot(%s, 'cdc_plugin')", RECORDER)
        seconds = []
        for sql, expected in (
            ("INSERT INTO orders VALUES (300, %s, 120.00, '{\"sku\": \"B-7\", \"qty\": 1}', now())", (1, 12000)),
            ("UPDATE orders SET total = total - 5 WHERE customer = %s", (1, 11500)),
        ):
            seconds.append(self.seconds_to_view(consumer, sql, expected))
        self.deleted = self.cluster.row("SELECT to_jsonb(o) AS o FROM orders AS o WHERE customer = %s", CUSTOMER)["o"]
        seconds.append(self.seconds_to_view(consumer, "DELETE FROM orders WHERE customer = %s", None))
        self.latencies = dict(zip(("insert", "update", "delete"), seconds))
        return ", ".join(f"{name} in {value:.3f} s" for name, value in self.latencies.items())

    def seconds_to_view(self, consumer, sql, expected):
        """From sending the statement, so with its commit."""
        began = time.monotonic()
        self.cluster.rows(sql, CUSTOMER)
        consumer.wait_for_view(CUSTOMER, expected)
        return time.monotonic() - began

    def old_row(self):
        events = self.cluster.rows(
            "SELECT op, before, before::text AS shown, details "
            "FROM cdc.peek_changes(%s, NULL, NULL, 'tables', 'public.orders') "
            "WHERE coalesce(before, after) ->> 'customer' = %s", RECORDER, CUSTOMER)
        check([event["op"] for event in events] == ["insert", "update", "delete"], f"the slot has {events}")
        last = events[-1]
        check(last["details"].get("before_kind") == "full", f"the old row is not complete: {last['details']}")
        before, source = dict(last["before"]), dict(self.deleted)
        # The same moment, whatever time zone the session shows it in.
        same_time = self.cluster.row("SELECT %s::timestamptz = %s::timestamptz AS same", before.pop("placed_at"),
                                     source.pop("placed_at"))["same"]
        check(before == source and same_time, f"the old row is {last['before']}, it was {self.deleted}")
        return last["shown"]

    def replay(self, consumer):
        """Twice, from a file that pg_recvlogical wrote, into the sink that the consumer keeps."""
        lsn = self.cluster.row("SELECT pg_current_wal_lsn() AS lsn")["lsn"]
        file = self.options.work / "events.bin"
        receiver = self.start_receiver_to(file, lsn)
        message = receiver.stderr.read()
        check(receiver.wait() == 0, f"pg_recvlogical: {message.strip()}")
        self.cluster.drop_slot(RECORDER)
        self.wait_for_consumer(consumer)
        consumer.stop()
        before = consumer.content_hash()
        already = []
        for _ in range(2):
            applied, known = consumer.replay(file)
            check(applied == 0 and known > 0, f"{applied} transactions were applied, {known} were known")
            check(consumer.content_hash() == before, "the sink's content has changed")
            already.append(known)
        check(already[0] == already[1], f"{already} transactions were known")
        consumer.start()
        self.wait_for_consumer(consumer)
        return (f"twice {already[0]} transactions, none applied; SHA-256 of the sink's content before and after: "
                f"{before[:16]}…")

    def start_receiver_to(self, file, lsn):
        file.unlink(missing_ok=True)
        return self.cluster.start_receiver(RECORDER, {"framing": "delimited"}, "-f", file, "--endpos", lsn)

    def keep_up(self):
        """For some seconds, to compare with what comes then."""
        since = time.time()
        wait_until("20 samples", lambda: len(self.sampler.of(SLOT, since)) >= 20, watch=self.watch_writer)
        samples = self.sampler.of(SLOT, since)
        most = max(sample["unconfirmed_bytes"] for sample in samples)
        check(most < 4 * SEGMENT, f"{megabytes(most)} were not confirmed")
        retained = max(sample["retained_bytes"] for sample in samples)
        return (f"not confirmed are {megabytes(most)} at most; retained {megabytes(retained)} at most, because the "
                "slot's start moves every 15 s only")

    # --- loss ---------------------------------------------------------------------------------------------------------

    def lose(self):
        seconds = 60 + 3 * self.options.cap / self.options.rate
        wait_until("the slot is lost", lambda: self.sampler.last(SLOT)["wal_status"] == "lost", seconds,
                   watch=self.watch_writer)
        # Said when the slot's new state is on disk, a moment after sessions see it.
        logged = wait_until("the server's log says that it invalidates the slot",
                            lambda: self.cluster.logged(f'invalidating .*slot "{SLOT}"'))
        self.lost_at = logged[0][0]
        self.events.append((self.lost_at, "lost"))
        wait_until("alert lost", lambda: self.listener.find(SLOT, "lost", self.frozen_at))
        samples = self.sampler.of(SLOT, self.frozen_at)
        self.peak = max(sample["retained_bytes"] or 0 for sample in samples)
        causes = self.sampler.causes(SLOT, self.frozen_at)
        return (f"{self.lost_at - self.frozen_at:.0f} s after the freeze, at {megabytes(self.peak)}; "
                f"causes meanwhile: {', '.join(causes)}")

    def goes_on(self):
        """Commits from after the loss, none refused before, and pg_wal back to its usual size."""
        wait_until("commits after the loss", lambda: self.writer.commits_since(self.lost_at) >= 50,
                   watch=self.watch_writer)
        wait_until("pg_wal is small again", lambda: self.sampler.pg_wal[-1][1] < self.peak / 2,
                   watch=self.watch_writer)
        return (f"{len(self.writer.committed):,} transactions until now, {len(self.writer.errors)} errors; pg_wal was "
                f"{megabytes(self.sampler.pg_wal_peak())} at most, {megabytes(self.sampler.pg_wal[-1][1])} now")

    def change_in_gap(self, consumer):
        for sql, ids in (
            ("DELETE FROM orders WHERE id = ANY (%s)", GONE),
            ("UPDATE orders SET customer = 'in the gap' WHERE id = ANY (%s)", CHANGED),
            ("INSERT INTO orders SELECT n, 'in the gap', n, '{}', now() FROM unnest(%s) AS n", NEW),
        ):
            rows = self.cluster.rows(f"{sql} RETURNING id", list(ids))
            check(len(rows) == len(ids), f"{len(rows)} rows instead of {len(ids)}: {sql}")
        stale = self.in_sink(consumer, GONE)
        check(stale == len(GONE), f"the sink has {stale} of the {len(GONE)} rows that were deleted just now")
        return (f"{len(GONE)} deleted, {len(CHANGED)} updated, {len(NEW)} inserted; the sink still has all {stale} "
                "that are gone")

    @staticmethod
    def in_sink(consumer, ids):
        return consumer.query(f"SELECT count(*) FROM orders WHERE id BETWEEN {ids[0]} AND {ids[-1]}")[0][0]

    # --- recovery -----------------------------------------------------------------------------------------------------

    def recover(self, consumer):
        began = time.monotonic()
        refused = []

        def perform(step):
            if step["title"] == "Stop the consumer":
                consumer.kill()
                # Before anything is mended: it must not go on as if nothing were missing.
                status, out = consumer.shell(f"cdc_consumer run --config {SLOT}.conf --until-caught-up")
                check(status == 3, f"the consumer took the lost slot for a good one: status {status}, {out}")
                refused.append(out.splitlines()[-1])
            command = step["command"]
            if command is None:
                raise DrillError(f"step \"{step['title']}\" has no command")
            if command.startswith("cdc_consumer run"):
                consumer.start(command)
                return "runs"
            if command.startswith("cdc_consumer"):
                status, out = consumer.shell(command)
                check(status == 0, f"{command}: status {status}: {out}")
                return out.splitlines()[-1] if out else ""
            return self.paste(command)

        steps = self.runbook(SLOT, perform)
        check(refused and any(step["command"].startswith("cdc_consumer resnapshot") for step in steps),
              "the runbook has no step for the consumer")
        self.recovery = time.monotonic() - began
        self.mark("recovered")
        return f"{len(steps)} steps in {self.recovery:.0f} s; before them the consumer refused to go on (exit code 3)"

    def well(self):
        def is_well():
            slot = self.cluster.slot(SLOT)
            return slot if slot["level"] == "ok" and slot["active"] else None

        slot = wait_until("level ok", is_well, watch=self.consumers[0].check)
        check(slot["wal_status"] == "reserved", f"wal_status is {slot['wal_status']}")
        return f"level ok, wal_status reserved, {megabytes(slot['retained_bytes'])} retained"

    def gap_is_closed(self, consumer):
        left = self.in_sink(consumer, GONE)
        check(left == 0, f"the sink has {left} rows that were deleted in the gap")
        changed = consumer.query("SELECT count(*) FROM orders WHERE customer = 'in the gap'")[0][0]
        check(changed == len(CHANGED) + len(NEW), f"{changed} rows of the gap are in the sink")
        return f"none of the {len(GONE)} rows is left; the {changed} others of the gap are there"

    # --- for the report -----------------------------------------------------------------------------------------------

    def reached(self):
        """When the headroom was used up; that is when the slot was lost, if no sample came in between."""
        return self.sampler.reached_cap(SLOT, self.frozen_at) or self.lost_at

    def limits(self):
        return [(self.options.cap, "cap")]

    def summary(self):
        return [
            ("cap (`max_slot_wal_keep_size`)", f"{self.options.cap} MB"),
            *((f"{name}, from its statement to the view", f"{took:.3f} s") for name, took in self.latencies.items()),
            *self.first_alert(),
            ("slot lost, after the freeze", f"{self.lost_at - self.frozen_at:.1f} s"),
            ("most WAL retained", megabytes(self.peak)),
            ("largest `pg_wal`", megabytes(self.sampler.pg_wal_peak())),
            ("recovery", f"{self.recovery:.1f} s"),
        ]
