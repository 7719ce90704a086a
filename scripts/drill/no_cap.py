"""The same stall without a cap, with pg_wal on a small file system: what the cap saves."""

import os
import time

import psycopg2
from cluster import wait_until
from sampler import PG_WAL
from steps import check, megabytes
from variant import SEGMENT, SLOT, Variant

BALLAST = 12  # MB
PANIC = "PANIC: .*No space left on device"


class NoCap(Variant):
    """pg_wal is in a file system of its own, where a file waits to be deleted when there is no room."""

    title = "The same stall without a cap"
    capped = False
    panic_at = None

    def drill(self):
        run = self.steps.run
        run("Copy `orders` and follow it", self.start, SLOT)
        consumer = self.consumers[0]
        run("There is no cap", self.no_cap_is_there)
        self.stall(consumer)
        run("The primary goes down: PANIC", self.go_down)
        run("Writes are refused", self.writes_are_refused)
        run("Room is made, and it starts", self.make_room, consumer)
        run("The slot is dropped, as the runbook prints it", self.give_up)
        run("Writes are taken again", self.writes_are_taken)
        self.writer.stop()
        run("What it cost", self.cost)

    def no_cap_is_there(self):
        self.ballast = self.options.small_fs / "ballast"
        self.ballast.write_bytes(bytes(BALLAST * SEGMENT))
        space = os.statvfs(self.options.small_fs)
        self.room = space.f_frsize * space.f_blocks // SEGMENT - BALLAST
        slot = self.cluster.slot(SLOT)
        check(slot["cap_source"] == "disk", f"the nearest limit is {slot['cap_source']}")
        return f"{megabytes(slot['headroom_bytes'])} are free for pg_wal, besides a ballast file of {BALLAST} MB"

    # --- down ---------------------------------------------------------------------------------------------------------

    def server_is_lost(self):
        return bool(self.cluster.logged(PANIC))

    def go_down(self):
        seconds = 60 + 300 / self.options.rate
        logged = wait_until("PANIC", lambda: self.cluster.logged(PANIC), seconds)
        self.panic_at = logged[0][0]
        self.events.append((self.panic_at, "PANIC"))
        self.peak = self.sampler.pg_wal_peak()
        return f"{self.panic_at - self.frozen_at:.0f} s after the freeze: {logged[0][1]}"

    def writes_are_refused(self):
        """For ten seconds, in which a server that could come back by itself would do so."""
        until = self.panic_at + 10
        wait_until("ten seconds without the server", lambda: time.time() > until)
        committed = self.writer.commits_since(self.panic_at)
        refused = [text for at, text in list(self.writer.errors) if at > self.panic_at - 1]
        check(refused, "no write has failed")
        self.came_back = self.cluster.running()
        return (f"{len(refused)} refused in {time.time() - self.panic_at:.0f} s, {committed} taken; the server "
                f"{'tries to run, and panics again' if self.came_back else 'is down'}; the last answer: {refused[-1]}")

    # --- up again -----------------------------------------------------------------------------------------------------

    def make_room(self, consumer):
        consumer.kill()
        self.ballast.unlink()
        began = time.monotonic()
        if not self.cluster.running():
            self.cluster.start()
        wait_until("the server takes sessions", self.takes_sessions)
        return f"the ballast file is deleted; crash recovery took {time.monotonic() - began:.1f} s"

    def takes_sessions(self):
        try:
            return self.cluster.row("SELECT 1 AS one")
        except psycopg2.Error:
            return None

    def give_up(self):
        """The one step of the runbook that frees WAL at once, and the checkpoint that it waits for."""
        steps = self.cluster.rows("SELECT * FROM cdc.runbook(%s) ORDER BY step", SLOT)
        chosen = [step for step in steps if step["title"] == "Give it up"]
        check(chosen, f"the runbook has no step to give the slot up: {[step['title'] for step in steps]}")
        for title, command in ((chosen[0]["title"], chosen[0]["command"]), ("Then", "CHECKPOINT;")):
            began = time.monotonic()
            output = self.paste(command)
            self.commands.append((title, command, time.monotonic() - began, output))
        size = self.cluster.row(PG_WAL)["bytes"]
        check(size < self.peak / 2, f"pg_wal still has {megabytes(size)}")
        return f"pg_wal shrinks from {megabytes(self.peak)} to {megabytes(size)}; its consumer has to start anew"

    def writes_are_taken(self):
        last_error = self.writer.errors[-1][0]
        wait_until("commits after the outage", lambda: self.writer.commits_since(last_error) >= 50)
        self.mark("back")
        return f"{len(self.writer.committed):,} transactions until now"

    def cost(self):
        outage = self.writer.outage()
        check(outage, "no outage was measured")
        return f"{len(self.writer.errors)} failed writes, {outage:.1f} s without any"

    # --- for the report -----------------------------------------------------------------------------------------------

    def reached(self):
        return self.panic_at

    def limits(self):
        return [(self.room, "the file system's end")]

    def summary(self):
        return [
            ("room for `pg_wal`", f"{self.room} MB"),
            *self.first_alert(),
            ("PANIC, after the freeze", f"{self.panic_at - self.frozen_at:.1f} s"),
            ("largest `pg_wal`", megabytes(self.peak)),
        ]
