"""The application of the methods benchmark, and the programs that carry what it writes into a SQLite file.

The application takes orders through their states. Each way of capturing its changes is a Method: what the application
itself does for it, and what runs beside it.
"""

import itertools
import multiprocessing
import sqlite3
import threading
import time
from dataclasses import dataclass

import psycopg2

POLL_SECONDS = 1.0
THREADS = 4
SLOW_SECONDS = 1.5
SHARED_ORDERS = (1, 2, 3)
NOTE = "Leave the parcel with the neighbour at no. 14 if nobody opens; ring twice."


@dataclass(frozen=True)
class Method:
    """One line of the comparison."""

    title: str
    second_write: str = ""  # dual writes: the application writes to the target "after" its commit, or "before"
    outbox: bool = False  # the application describes each change in a table, in the same transaction
    relay: str = ""  # what carries the changes: "poll", "poll_outbox", or "consumer"

    @property
    def delivers(self):
        return bool(self.second_write or self.relay)


METHODS = {
    "none": Method("writer alone"),
    "polling": Method("polling each second", relay="poll"),
    "dual_after": Method("dual writes, target last", second_write="after"),
    "dual_before": Method("dual writes, target first", second_write="before"),
    "outbox_polled": Method("outbox, polled each second", outbox=True, relay="poll_outbox"),
    "outbox_log": Method("outbox, out of the log", outbox=True, relay="consumer"),
    "log": Method("tables, out of the log", relay="consumer"),
}

SOURCE_SQL = """
    CREATE TABLE orders (
        id bigint PRIMARY KEY, state integer NOT NULL, change bigint NOT NULL, note text NOT NULL,
        updated_at timestamptz NOT NULL);
    CREATE TABLE outbox (
        event bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, op text NOT NULL, id bigint NOT NULL,
        state integer NOT NULL, change bigint NOT NULL, note text NOT NULL);
"""
# What the target is like for every method; cdc_consumer gets it as --init-sql. Triggers note each change of the copy,
# so that it can be told afterwards which ones came, and in which order.
TARGET_SQL = """
    CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, state INTEGER, change INTEGER, note TEXT);
    CREATE TABLE IF NOT EXISTS seen (
        number INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT, id INTEGER, state INTEGER, change INTEGER);
    CREATE TRIGGER IF NOT EXISTS seen_insert AFTER INSERT ON orders BEGIN
        INSERT INTO seen (op, id, state, change) VALUES ('insert', NEW.id, NEW.state, NEW.change); END;
    CREATE TRIGGER IF NOT EXISTS seen_update AFTER UPDATE ON orders BEGIN
        INSERT INTO seen (op, id, state, change) VALUES ('update', NEW.id, NEW.state, NEW.change); END;
    CREATE TRIGGER IF NOT EXISTS seen_delete AFTER DELETE ON orders BEGIN
        INSERT INTO seen (op, id, state, change) VALUES ('delete', OLD.id, OLD.state, OLD.change); END;
"""
UPSERT = (
    "INSERT INTO orders (id, state, change, note) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
    "state = excluded.state, change = excluded.change, note = excluded.note"
)
# The copy of the outbox turns each event into the row that it describes.
OUTBOX_TARGET_SQL = TARGET_SQL + f"""
    CREATE TRIGGER IF NOT EXISTS outbox_row AFTER INSERT ON outbox WHEN NEW.op <> 'delete' BEGIN
        {UPSERT.replace('?, ?, ?, ?', 'NEW.id, NEW.state, NEW.change, NEW.note')}; END;
    CREATE TRIGGER IF NOT EXISTS outbox_delete AFTER INSERT ON outbox WHEN NEW.op = 'delete' BEGIN
        DELETE FROM orders WHERE id = NEW.id; END;
"""


def open_target(file):
    """As durable as cdc_consumer's SQLite sink between two syncs."""
    target = sqlite3.connect(file, isolation_level=None, timeout=60)
    target.execute("PRAGMA journal_mode = WAL")
    target.execute("PRAGMA synchronous = NORMAL")
    return target


def apply(target, op, row):
    if op == "delete":
        target.execute("DELETE FROM orders WHERE id = ?", row[:1])
    else:
        target.execute(UPSERT, row)


# --- the application ------------------------------------------------------------------------------------------------


STATEMENTS = {
    "insert": "INSERT INTO orders VALUES (%(id)s, 1, %(change)s, %(note)s, now())",
    "update": "UPDATE orders SET state = state + 1, change = %(change)s, updated_at = now() WHERE id = %(id)s",
    "delete": "DELETE FROM orders WHERE id = %(id)s",
}


class Session:
    """A connection of the application to its database and, for dual writes, to the target."""

    def __init__(self, method, file):
        self.method = method
        self.source = psycopg2.connect("")
        self.target = open_target(file) if method.second_write else None

    def write(self, op, order, change, pause=0.0):
        """One transaction with one change; returns what it was, when it was committed, and how long all of it took."""
        began = time.time()
        with self.source.cursor() as cursor:
            cursor.execute(
                STATEMENTS[op] + " RETURNING id, state, change, note", {"id": order, "change": change, "note": NOTE})
            row = cursor.fetchone()
            if self.method.outbox:
                cursor.execute(
                    "INSERT INTO outbox (op, id, state, change, note) VALUES (%s, %s, %s, %s, %s)", (op, *row))
        if self.method.second_write == "before":
            apply(self.target, op, row)
        time.sleep(pause)
        self.source.commit()
        committed = time.time()
        if self.method.second_write == "after":
            apply(self.target, op, row)
        return op, order, change, committed, time.time() - began - pause


def life_of_orders(numbers):
    """Every order is placed and moves on twice, each fifth is deleted; in between, orders that all threads share."""
    for count in itertools.count():
        order = next(numbers)
        yield "insert", order
        yield "update", order
        yield "update", order
        if count % 5 == 0:
            yield "delete", order
        yield "update", SHARED_ORDERS[count % len(SHARED_ORDERS)]


class Application:
    """Threads that write at a rate (None: as fast as they can), and one with a transaction that stays open for long.

    It runs in a process of its own, so that it can be killed.
    """

    def __init__(self, method, file, first_number, rate=None, seconds=None):
        self.method, self.file = method, file
        self.numbers = itertools.count(first_number)  # of orders and of changes; shared, next() is atomic
        self.rate, self.seconds = rate, seconds
        self.events = multiprocessing.SimpleQueue()
        self.process = multiprocessing.Process(target=self.run, daemon=True)
        self.process.start()

    def run(self):
        end = time.time() + (self.seconds or 3600)
        done = []
        threads = [threading.Thread(target=self.work, args=(number, end, done)) for number in range(THREADS)]
        threads.append(threading.Thread(target=self.work_slowly, args=(end, done)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.events.put(done)

    def work(self, number, end, done):
        session = Session(self.method, self.file)
        pace = THREADS / self.rate if self.rate else 0
        due = time.time() + pace * number / THREADS
        for op, order in life_of_orders(self.numbers):
            time.sleep(max(0.0, due - time.time()))
            if time.time() > end:
                return
            due += pace
            done.append(session.write(op, order, next(self.numbers)))

    def work_slowly(self, end, done):
        session = Session(self.method, self.file)
        while time.time() + SLOW_SECONDS < end:
            done.append(session.write("insert", next(self.numbers), next(self.numbers), pause=SLOW_SECONDS))

    def finish(self):
        """The changes that were committed: (op, order, change, time of the commit, seconds that it took)."""
        events = self.events.get()
        self.process.join()
        return events

    def kill(self):
        self.process.kill()
        self.process.join()


# --- relays ---------------------------------------------------------------------------------------------------------


def poll(file):
    """Asks for what was changed since the newest row that it knows; the mark is stored with the rows."""
    source, target = psycopg2.connect(""), open_target(file)
    source.autocommit = True
    target.execute("CREATE TABLE IF NOT EXISTS mark (updated_at TEXT)")
    while True:
        mark = target.execute("SELECT max(updated_at) FROM mark").fetchone()[0] or "-infinity"
        with source.cursor() as cursor:
            cursor.execute(
                "SELECT id, state, change, note, updated_at::text FROM orders WHERE updated_at > %s "
                "ORDER BY updated_at", (mark,))
            rows = cursor.fetchall()
        target.execute("BEGIN IMMEDIATE")
        for row in rows:
            apply(target, "upsert", row[:4])
        if rows:
            target.execute("DELETE FROM mark")
            target.execute("INSERT INTO mark VALUES (?)", rows[-1][4:])
        target.execute("COMMIT")
        time.sleep(POLL_SECONDS)


def poll_outbox(file):
    """Takes events out of the outbox; they are gone from it only when the target has them."""
    source, target = psycopg2.connect(""), open_target(file)
    while True:
        with source.cursor() as cursor:
            cursor.execute("DELETE FROM outbox RETURNING event, op, id, state, change, note")
            events = sorted(cursor.fetchall())
        target.execute("BEGIN IMMEDIATE")
        for _, op, *row in events:
            apply(target, op, row)
        target.execute("COMMIT")
        source.commit()
        time.sleep(POLL_SECONDS)


POLLERS = {"poll": poll, "poll_outbox": poll_outbox}
