"""The private server of a drill: sessions, one-off queries, its log, and how it is started again behind a crash."""

import datetime
import os
import re
import subprocess
import time

import psycopg2
import psycopg2.extras
from common import BenchError, Server


class DrillError(BenchError):
    """A step did not happen; no traceback."""


class Cluster(Server):
    """The server that scripts/demo started, with PGHOST and the rest in the environment."""

    def __init__(self, bindir, data_dir):
        super().__init__(bindir, data_dir)
        self.data_dir = data_dir
        self.log = data_dir / "server.log"
        self.session = None

    def connect(self, name):
        """A session in which each statement is a transaction of its own, unless BEGIN says otherwise."""
        session = psycopg2.connect(application_name=name, cursor_factory=psycopg2.extras.RealDictCursor)
        session.autocommit = True
        return session

    def rows(self, query, *parameters):
        """The result as dictionaries. The drill's own session, made anew behind a crash."""
        if self.session is None or self.session.closed:
            self.session = self.connect("drill")
        with self.session.cursor() as cursor:
            cursor.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def row(self, query, *parameters):
        rows = self.rows(query, *parameters)
        return rows[0] if rows else None

    def slot(self, name):
        """Its row in cdc.slots, None if there is none."""
        return self.row("SELECT * FROM cdc.slots WHERE slot_name = %s", name)

    def logged(self, pattern):
        """Where the server's log has a pattern: (Unix time of the line, its text)."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            stamp = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC ", line)
            if stamp and re.search(pattern, line):
                at = datetime.datetime.fromisoformat(stamp.group(1)).replace(tzinfo=datetime.timezone.utc)
                found.append((at.timestamp(), line[stamp.end():]))
        return found

    def pg_ctl(self, *arguments):
        """Output goes to the server's log, which a server that is started holds open."""
        command = [self.bindir / "pg_ctl", "-D", self.data_dir, "-w", "-t", "120", *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    def running(self):
        return self.pg_ctl("status")

    def start(self):
        if not self.pg_ctl("-l", str(self.log), "-o", f"-k {os.environ['PGHOST']}", "start"):
            raise DrillError(f"the server does not start: {self.log.read_text(errors='replace').splitlines()[-3:]}")


def wait_until(what, condition, seconds=120, watch=None):
    """What the condition returns once that is true. `watch` may raise when waiting has become pointless."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if watch is not None:
            watch()
        if time.monotonic() > deadline:
            raise DrillError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)
