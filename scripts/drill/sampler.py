"""Samples of the slots and of pg_wal, taken from outside as monitoring does; and alerts, as a listener hears them."""

import json
import select
import threading
import time

import psycopg2

INTERVAL = 0.5
QUERY = """
SELECT slot_name, active, level, cause, also, retained_bytes, unconfirmed_bytes, cap_bytes, cap_source, headroom_bytes,
       extract(epoch FROM time_to_cap)::float8 AS seconds_to_cap, wal_status, wal_bytes_per_s, culprit_pid
FROM cdc.slots
"""
PG_WAL = "SELECT sum(size)::bigint AS bytes FROM pg_ls_waldir()"


class Background(threading.Thread):
    """Does something again and again in a session of its own, which is made anew when it was lost."""

    def __init__(self, cluster, name):
        super().__init__(daemon=True, name=name)
        self.cluster = cluster
        self.stopping = threading.Event()

    def run(self):
        session = None
        while not self.stopping.is_set():
            try:
                if session is None or session.closed:
                    session = self.cluster.connect(self.name)
                    self.prepare(session)
                self.once(session)
            except psycopg2.Error:  # a server that is down leaves a gap
                session = None
                self.stopping.wait(INTERVAL)
        if session is not None:
            session.close()

    def prepare(self, session):
        pass

    def stop(self):
        self.stopping.set()
        self.join(60)


class Sampler(Background):
    """A row of cdc.slots for each slot, and the size of pg_wal, twice in a second; `at` is Unix time."""

    def __init__(self, cluster):
        super().__init__(cluster, "sampler")
        self.samples = []
        self.pg_wal = []  # (Unix time, bytes)

    def once(self, session):
        with session.cursor() as cursor:
            cursor.execute(QUERY)
            now = time.time()
            self.samples += [{"at": now, **row} for row in cursor.fetchall()]
            cursor.execute(PG_WAL)
            self.pg_wal.append((now, cursor.fetchone()["bytes"]))
        self.stopping.wait(INTERVAL)

    def of(self, slot, since=0):
        return [sample for sample in list(self.samples) if sample["slot_name"] == slot and sample["at"] >= since]

    def last(self, slot):
        samples = self.of(slot)
        return samples[-1] if samples else None

    def pg_wal_peak(self):
        return max(size for _, size in list(self.pg_wal))

    def causes(self, slot, since=0):
        """Which causes were shown, in their order, without repetitions."""
        causes = [sample["cause"] for sample in self.of(slot, since)]
        return [cause for before, cause in zip([None, *causes], causes) if cause != before]

    def reached_cap(self, slot, since=0):
        """When the headroom was used up, between two samples by rule of three; None if it never was."""
        samples = [sample for sample in self.of(slot, since) if sample["headroom_bytes"] is not None]
        for before, after in zip(samples, samples[1:]):
            if after["headroom_bytes"] <= 0 < before["headroom_bytes"]:
                share = before["headroom_bytes"] / (before["headroom_bytes"] - after["headroom_bytes"])
                return before["at"] + share * (after["at"] - before["at"])
        return None


class Listener(Background):
    """LISTEN cdc_alerts; each alert is what its JSON says, and `heard_at`."""

    def __init__(self, cluster):
        super().__init__(cluster, "listener")
        self.alerts = []
        self.listening = threading.Event()

    def prepare(self, session):
        with session.cursor() as cursor:
            cursor.execute("LISTEN cdc_alerts")
        self.listening.set()

    def once(self, session):
        select.select([session], [], [], 0.2)
        session.poll()
        while session.notifies:
            self.alerts.append({**json.loads(session.notifies.pop(0).payload), "heard_at": time.time()})

    def find(self, slot, level, since=0):
        """The first alert of a slot at a level; None if there is none yet."""
        for alert in list(self.alerts):
            if alert["slot_name"] == slot and alert["level"] == level and alert["heard_at"] >= since:
                return alert
        return None
