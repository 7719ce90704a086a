"""A writer that stands for the application: orders at a constant rate, each answer counted, from start to end."""

import random
import threading
import time

TICK = 0.05  # seconds from one transaction to the next
FIRST_ID = 1000  # ids below are the drill's own

# What is missing to the schedule, so that WAL grows by the clock, whatever else writes some. At most twice what is due
# in a tick: a writer that was held up catches up without a burst.
FILL = """
SELECT pg_logical_emit_message(true, 'drill', repeat('x', least(greatest(%s - (pg_current_wal_insert_lsn() - %s), 0),
                                                                %s)::integer))
"""


class Writer(threading.Thread):
    """Transactions of one change of `orders` and as much other WAL as the rate asks for."""

    def __init__(self, cluster, bytes_per_s):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.bytes_per_s = bytes_per_s
        self.committed = []  # Unix times
        self.errors = []  # (Unix time, text)
        self.statements = 0
        self.stopping = threading.Event()
        self.random = random.Random(1)
        self.live = []
        self.next_id = FIRST_ID

    def run(self):
        session = None
        while not self.stopping.is_set():
            try:
                if session is None or session.closed:
                    session = self.cluster.connect("writer")
                    began, start_lsn = time.monotonic(), self.lsn(session)
                due = self.bytes_per_s * (time.monotonic() - began)
                self.transaction(session, due, start_lsn)
                self.committed.append(time.time())
                next_at = began + TICK * (int((time.monotonic() - began) / TICK) + 1)
                self.stopping.wait(next_at - time.monotonic())
            except Exception as error:  # whatever it is, it is a write that failed, and must be counted
                self.errors.append((time.time(), " ".join(str(error).split())))
                if session is not None:
                    session.close()
                self.stopping.wait(TICK)
        if session is not None:
            session.close()

    @staticmethod
    def lsn(session):
        with session.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_insert_lsn() AS lsn")
            return cursor.fetchone()["lsn"]

    def transaction(self, session, due, start_lsn):
        with session.cursor() as cursor:
            for statement, parameters in (
                ("BEGIN", None),
                self.change(),
                (FILL, (due, start_lsn, 2 * self.bytes_per_s * TICK)),
                ("COMMIT", None),
            ):
                cursor.execute(statement, parameters)
                self.statements += 1

    def change(self):
        """Six inserts to three updates and a delete."""
        kind, = self.random.choices(("insert", "update", "delete"), (6, 3, 1)) if self.live else ("insert",)
        cents = self.random.randrange(100, 100_000)
        if kind == "insert":
            self.next_id += 1
            self.live.append(self.next_id)
            return ("INSERT INTO orders VALUES (%s, %s, %s / 100.0, '{\"sku\": \"A-1\"}', now())",
                    (self.next_id, f"customer {self.random.randrange(20)}", cents))
        index = self.random.randrange(len(self.live))
        if kind == "update":
            return "UPDATE orders SET total = %s / 100.0 WHERE id = %s", (cents, self.live[index])
        return "DELETE FROM orders WHERE id = %s", (self.live.pop(index),)

    def stop(self):
        self.stopping.set()
        self.join(60)

    # --- what it has seen ---------------------------------------------------------------------------------------------

    def longest_pause(self):
        """Seconds between two commits."""
        return max((after - before for before, after in zip(self.committed, self.committed[1:])), default=0)

    def outage(self):
        """Seconds from the first write that failed to the next one that did not; 0 if none failed, None if it lasts."""
        if not self.errors:
            return 0
        after = [at for at in self.committed if at > self.errors[-1][0]]
        return after[0] - self.errors[0][0] if after else None

    def commits_since(self, since):
        return sum(at > since for at in list(self.committed))

    def per_second(self):
        """Commits of each whole second: (Unix time, number)."""
        counts = {}
        committed = list(self.committed)
        if not committed:
            return []
        for at in committed:
            counts[int(at)] = counts.get(int(at), 0) + 1
        return [(second + 0.5, counts.get(second, 0)) for second in range(int(committed[0]) + 1, int(committed[-1]))]
