"""A transaction that is left open holds WAL back as a lagging consumer does, and the guard tells the two apart."""

import psycopg2

from cluster import DrillError, wait_until
from steps import check, megabytes
from variant import SEGMENT, SLOT, Variant

FROZEN = "audit"
CONSUMER_CAUSES = {"consumer_slow", "consumer_down"}


class LongTransaction(Variant):
    """Two slots under one writer: the consumer of `orders` is well, that of `audit` is frozen for contrast."""

    title = "A long transaction, beside a frozen consumer"
    rate = 0.5

    def drill(self):
        run = self.steps.run
        run("Two consumers follow `orders`", self.start, SLOT, FROZEN)
        frozen = self.consumers[1]
        run(f"The consumer of {FROZEN} is frozen", self.freeze, frozen)
        # First, so that nothing else can be blamed for what this slot retains.
        run(f"The WAL of {FROZEN} climbs", self.climb, FROZEN, 3)
        run("A session leaves a transaction open", self.open_transaction)
        run("Both slots retain WAL", self.both_climb)
        run("The guard blames the transaction", self.blame_transaction)
        run("The guard blames the frozen consumer", self.blame_consumer)
        run("It ends the transaction, as the runbook prints it", self.end_transaction)
        run("That frees one slot, not the other", self.one_is_free)
        run("No cause was mistaken for the other", self.never_mistaken)
        run("The frozen consumer is started anew, as the runbook says", self.restart, frozen)
        run("That frees the other", self.free, FROZEN)
        self.writer.stop()
        for consumer in self.consumers:
            run(f"Source equals sink of {consumer.slot}, row for row", self.equal, consumer)
        run("No write failed", self.no_write_failed)

    def open_transaction(self):
        """It has written, so it has an id; then its client does nothing."""
        self.wait_for_consumer(self.consumers[0])
        self.culprit = self.cluster.connect("forgotten")
        with self.culprit.cursor() as cursor:
            cursor.execute("CREATE TABLE notes (text text)")
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO notes VALUES ('to be continued')")
            cursor.execute("SELECT pg_backend_pid() AS pid")
            self.culprit_pid = cursor.fetchone()["pid"]
        self.mark("transaction")
        return f"process {self.culprit_pid}, idle in transaction"

    def both_climb(self):
        wait_until("4 MB of WAL each", lambda: min(self.sampler.last(slot)["retained_bytes"] for slot in (SLOT, FROZEN))
                   > 4 * SEGMENT, watch=self.watch_writer)
        return f"{SLOT} {self.amounts(SLOT)}; {FROZEN} {self.amounts(FROZEN)}"

    def amounts(self, slot):
        last = self.sampler.last(slot)
        return (f"{megabytes(last['retained_bytes'])} retained, {megabytes(last['unconfirmed_bytes'])} of it not "
                "confirmed")

    def wait_for_cause(self, slot, causes):
        wait_until(f"the cause of {slot} is {' or '.join(causes)}", lambda: self.sampler.last(slot)["cause"] in causes,
                   watch=self.watch_writer)
        return self.sampler.last(slot)

    def seconds_since_freeze(self, sample):
        return f"{sample['at'] - self.frozen_at:.0f} s after the freeze"

    def blame_transaction(self):
        sample = self.wait_for_cause(SLOT, {"long_transaction"})
        check(sample["culprit_pid"] == self.culprit_pid,
              f"it blames process {sample['culprit_pid']}, not {self.culprit_pid}")
        check(sample["unconfirmed_bytes"] < sample["retained_bytes"] / 2, "most of it is not confirmed")
        advice = self.cluster.slot(SLOT)["advice"]
        check(str(self.culprit_pid) in advice, f"the advice does not name the process: {advice}")
        self.blamed = sample
        return (f"{SLOT}: {sample['cause']} of process {sample['culprit_pid']}, {self.seconds_since_freeze(sample)}; "
                f"{self.amounts(SLOT)}. Advice: {advice}")

    def blame_consumer(self):
        """As slow while it is connected, as down when the server has given up its connection."""
        seen = []
        for cause in ("consumer_slow", "consumer_down"):
            if cause not in self.sampler.causes(FROZEN, self.frozen_at):
                self.wait_for_cause(FROZEN, {cause})
            sample = next(one for one in self.sampler.of(FROZEN, self.frozen_at) if one["cause"] == cause)
            seen.append(f"{cause}, {self.seconds_since_freeze(sample)}")
        return f"{FROZEN}: {'; '.join(seen)}; {self.amounts(FROZEN)}"

    def end_transaction(self):
        steps = self.runbook(SLOT, lambda step: self.paste(step["command"]))
        check(any(f"pg_terminate_backend({self.culprit_pid})" in (step["command"] or "") for step in steps),
              "the runbook does not end the culprit")
        try:
            with self.culprit.cursor() as cursor:
                cursor.execute("SELECT 1")
        except psycopg2.Error as error:
            self.mark("ended")
            return f"{len(steps)} steps; its client hears: {str(error).splitlines()[0]}"
        raise DrillError("the session still lives")

    def one_is_free(self):
        before = self.sampler.last(FROZEN)["retained_bytes"]
        freed = self.free(SLOT)
        wait_until(f"the WAL of {FROZEN} climbs on", lambda: self.sampler.last(FROZEN)["retained_bytes"]
                   > before + 3 * SEGMENT, watch=self.watch_writer)
        return f"{freed}; {FROZEN} climbs on: {megabytes(before)}, {self.retained(FROZEN)} now"

    def free(self, slot):
        """What is retained falls, and the cause is gone."""
        peak = max(sample["retained_bytes"] for sample in self.sampler.of(slot))
        wait_until(f"the WAL of {slot} is free", lambda: self.sampler.last(slot)["retained_bytes"] < peak / 2
                   and self.sampler.last(slot)["cause"] == "none", watch=self.watch_writer)
        return f"{slot}: {megabytes(peak)} to {megabytes(self.sampler.last(slot)['retained_bytes'])}, cause none"

    def restart(self, consumer):
        titles = [step["title"] for step in self.cluster.rows("SELECT * FROM cdc.runbook(%s) ORDER BY step", FROZEN)]
        check("Start the consumer" in titles, f"the runbook says {titles}")
        consumer.kill()
        consumer.start()
        self.mark("restarted")
        return f"kill -9 and `cdc_consumer run --config {FROZEN}.conf`"

    def never_mistaken(self):
        """Over all samples until now, while both causes were there and after the one was mended."""
        of_well, of_frozen = set(self.sampler.causes(SLOT)), set(self.sampler.causes(FROZEN))
        check(of_well <= {"none", "long_transaction"}, f"slot {SLOT} had the causes {of_well}")
        check(of_frozen <= {"none"} | CONSUMER_CAUSES, f"slot {FROZEN} had the causes {of_frozen}")
        return (f"in {len(self.sampler.of(SLOT))} samples each: {SLOT} {', '.join(sorted(of_well))}; "
                f"{FROZEN} {', '.join(sorted(of_frozen))}")

    # --- for the report -----------------------------------------------------------------------------------------------

    def limits(self):
        return [(self.options.cap, "cap")]

    def summary(self):
        rows = [("transaction blamed, after the freeze", f"{self.blamed['at'] - self.frozen_at:.1f} s")]
        for consumer in self.consumers:
            peak = max(sample["retained_bytes"] for sample in self.sampler.of(consumer.slot))
            rows.append((f"most that slot {consumer.slot} retained", megabytes(peak)))
        return rows
