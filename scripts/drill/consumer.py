"""cdc_consumer as it is run in operation: a config file, the program, and a SQLite sink with a view of its reader."""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import time
from shlex import quote

import compare_sink
from cluster import DrillError, wait_until

TABLE = "public.orders"
INIT_SQL = """
CREATE VIEW IF NOT EXISTS orders_by_customer AS
SELECT customer, count(*) AS orders, sum(CAST(round(total * 100) AS INTEGER)) AS cents FROM orders GROUP BY customer;
"""
# The same at the source.
SOURCE_VIEW = "SELECT customer, count(*), sum(total * 100)::bigint FROM orders GROUP BY customer ORDER BY customer"


class Consumer:
    """One consumer with its slot; files are NAME.conf, NAME.db and NAME.log in a folder."""

    def __init__(self, program, folder, slot):
        self.program, self.folder, self.slot = program, folder, slot
        self.sink = folder / f"{slot}.db"
        self.log = folder / f"{slot}.log"
        self.process = None
        for suffix in ("", "-wal", "-shm"):
            (folder / f"{slot}.db{suffix}").unlink(missing_ok=True)
        (folder / "init.sql").write_text(INIT_SQL)
        (folder / f"{slot}.conf").write_text(
            f"source = host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']} "
            f"dbname={os.environ['PGDATABASE']}\n"
            f"slot = {slot}\ntables = {TABLE}\nsink = sqlite:{self.sink}\ninit-sql = {folder / 'init.sql'}\n"
            "max-retry-delay = 1s\nidle-interval = 1s\n")
        # A command of the runbook finds the program as one does who has it installed.
        self.environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}

    # --- the program --------------------------------------------------------------------------------------------------

    def start(self, command=None):
        """Runs `cdc_consumer run`, or a command line in the shell's words, in the background."""
        command = command or f"cdc_consumer run --config {self.slot}.conf"
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(f"exec {command}", shell=True, cwd=self.folder, env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def shell(self, command):
        """Runs a command line in the folder to its end: (status, what it printed)."""
        done = subprocess.run(command, shell=True, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout.strip()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL, the one signal that ends a stopped process."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """SIGTERM, which it must obey with exit code 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        if status != 0:
            raise DrillError(f"cdc_consumer ended with status {status}: {self.last_words()}")

    def check(self):
        """Raises if it has ended."""
        if self.process.poll() is not None:
            raise DrillError(f"cdc_consumer ended with status {self.process.returncode}: {self.last_words()}")

    def last_words(self):
        return " / ".join(self.log.read_text(encoding="utf-8").splitlines()[-2:])

    def replay(self, file):
        """(transactions applied, transactions that the sink had already)."""
        status, out = self.shell(f"cdc_consumer replay {quote(str(file))} --sink {quote(f'sqlite:{self.sink}')}")
        counts = re.search(r"(\d+) transactions? applied \(.*\), (\d+) already in the sink", out)
        if status != 0 or not counts:
            raise DrillError(f"cdc_consumer replay ended with status {status}: {out}")
        return int(counts[1]), int(counts[2])

    # --- the sink -----------------------------------------------------------------------------------------------------

    def query(self, sql, *parameters):
        with sqlite3.connect(f"file:{self.sink}?mode=ro", uri=True, timeout=60) as database:
            return database.execute(sql, parameters).fetchall()

    def customer(self, name):
        """Orders and cents of the view."""
        rows = self.query("SELECT orders, cents FROM orders_by_customer WHERE customer = ?", name)
        return rows[0] if rows else None

    def content_hash(self):
        """Of all rows of the table and of the view."""
        digest = hashlib.sha256()
        for sql in ("SELECT * FROM orders ORDER BY id", "SELECT * FROM orders_by_customer ORDER BY customer"):
            for row in self.query(sql):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def wait_for_copy(self, seconds=60):
        """Until the first copy is there."""
        def there():
            self.check()
            try:
                return self.query("SELECT count(*) FROM orders")[0][0] > 0
            except sqlite3.OperationalError:  # no file or no table yet
                return False
        wait_until("the first copy", there, seconds)

    def wait_for_view(self, name, expected, seconds=60):
        """Until the view says so of a customer; asked every few milliseconds."""
        began = time.monotonic()
        while self.customer(name) != expected:
            self.check()
            if time.monotonic() - began > seconds:
                raise DrillError(f"the view says {self.customer(name)} of {name}, not {expected}, after {seconds} s")
            time.sleep(0.005)

    def differences(self, cluster):
        """Between source and sink, row for row, and between the view and the same query at the source; as lines."""
        found = compare_sink.compare(cluster.bindir / "psql", f"dbname={os.environ['PGDATABASE']}", self.sink, TABLE)
        source = [tuple(row.values()) for row in cluster.rows(SOURCE_VIEW)]
        sink = self.query("SELECT * FROM orders_by_customer ORDER BY customer")
        if sorted(source) != sorted(sink):
            found.append(f"orders_by_customer: {sorted(set(source) ^ set(sink))[:3]}")
        return found
