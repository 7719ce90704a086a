"""What the benchmarks share: the plugins that are compared, the private server, and how a machine and a table read."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PUBLICATION = "bench"
PGOUTPUT = {"proto_version": "1", "publication_names": PUBLICATION}


@dataclass(frozen=True)
class Plugin:
    """One line of the comparison: an output plugin with the options it runs with."""

    name: str  # in the results and on the command line
    module: str
    options: dict = field(default_factory=dict)
    peer: bool = False  # comes with PostgreSQL or in a package of its own, so it may be missing


PLUGINS = {
    plugin.name: plugin
    for plugin in (
        Plugin("cdc_plugin", "cdc_plugin"),
        Plugin("pgoutput_text", "pgoutput", PGOUTPUT, peer=True),
        Plugin("pgoutput_binary", "pgoutput", {**PGOUTPUT, "binary": "true"}, peer=True),
        Plugin("pgoutput_streaming", "pgoutput",
               {**PGOUTPUT, "binary": "true", "proto_version": "2", "streaming": "on"}, peer=True),
        Plugin("test_decoding", "test_decoding", peer=True),
        Plugin("wal2json", "wal2json", {"format-version": "2"}, peer=True),
        Plugin("decoderbufs", "decoderbufs", peer=True),
        Plugin("floor_nothing", "floor_nothing"),
        Plugin("floor_rawcopy", "floor_rawcopy"),
    )
}


class BenchError(Exception):
    """Something that the person who runs a benchmark has to read; no traceback."""


def fail_clearly(main):
    """Runs main; a BenchError becomes one line on stderr and status 1."""
    try:
        return main()
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def turns(names, rounds):
    """(round, name) for each name in each round. Every round begins with another one, so that none is always first."""
    names = list(names)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            yield number, name


def progress(text):
    print(f"    {text}", file=sys.stderr, flush=True)


# --- command line ---------------------------------------------------------------------------------------------------


def choice_list(known):
    """An argparse type: a comma-separated list of names out of `known`, in the order given."""

    def parse(text):
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        if not names:
            raise argparse.ArgumentTypeError(f"empty; known are {', '.join(known)}")
        if len(set(names)) != len(names):
            raise argparse.ArgumentTypeError("a name is repeated")
        return names

    return parse


def positive(kind):
    """An argparse type: a finite number of that kind, greater than zero."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            noun = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"a {noun} greater than zero is needed, not {text!r}")
        return value

    return parse


def argument_parser(command, description, parts=()):
    """The options that every benchmark has, and --parts if it has parts. scripts/bench fills in those that say where the
    server is."""
    parser = argparse.ArgumentParser(prog=f"scripts/bench {command}", description=description)
    parser.add_argument("--plugins", type=choice_list(PLUGINS), metavar="A,B", help=f"of: {', '.join(PLUGINS)}")
    if parts:
        parser.add_argument("--parts", type=choice_list(parts), default=list(parts), metavar="A,B",
                            help=f"of: {', '.join(parts)}")
    parser.add_argument("--scale", type=positive(float), default=1.0, metavar="F", help="size of the work (default 1)")
    parser.add_argument("--keep", action="store_true", help="leave the private server running afterwards")
    parser.add_argument("--dry-run", action="store_true", help="only check the arguments")
    for internal in ("--bindir", "--data-dir", "--out"):
        parser.add_argument(internal, type=Path, help=argparse.SUPPRESS)
    return parser


def choose_plugins(server, asked, default):
    """The plugins to run. One that is asked for by name must load, and so must ours; a missing peer is left out."""
    chosen = []
    for name in asked or default:
        problem = server.load_problem(PLUGINS[name].module)
        if problem is None:
            chosen.append(PLUGINS[name])
        elif asked or not PLUGINS[name].peer:
            raise BenchError(f"output plugin {PLUGINS[name].module}: {problem}")
        else:
            progress(f"{name} is left out: {problem}")
    return chosen


# --- the server -----------------------------------------------------------------------------------------------------


def sql_literal(text):
    return "'" + str(text).replace("'", "''") + "'"


class Server:
    """The private server that scripts/bench started; PGHOST and the rest are in the environment."""

    def __init__(self, bindir, data_dir):
        self.bindir = bindir
        self.postmaster = int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])

    def psql(self, *arguments, stdin=None):
        command = [self.bindir / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(done.stderr.strip() or f"psql ended with status {done.returncode}")
        return done.stdout.strip()

    def sql(self, statement):
        return self.psql("-c", statement)

    def run_file(self, path, scale=1.0):
        return self.psql("-v", f"scale={scale}", "-f", path)

    def load_problem(self, module):
        """None if the server can load the module, else why not."""
        try:
            self.sql(f"LOAD {sql_literal(module)}")
        except BenchError as error:
            return str(error).splitlines()[0].removeprefix("ERROR:").strip()
        return None

    def fresh_database(self, name):
        """An empty database with a publication of all its tables; connections go there from now on. All slots go."""
        os.environ["PGDATABASE"] = "postgres"
        self.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        self.sql(f"DROP DATABASE IF EXISTS {name}")
        self.sql(f"CREATE DATABASE {name}")
        os.environ["PGDATABASE"] = name
        self.sql(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")

    def create_slot(self, slot, plugin):
        self.sql(f"SELECT pg_create_logical_replication_slot({sql_literal(slot)}, {sql_literal(plugin)})")

    def drop_slot(self, slot):
        self.sql(f"SELECT pg_drop_replication_slot({sql_literal(slot)})")

    def start_receiver(self, slot, options, *arguments):
        """pg_recvlogical on the slot, output to nowhere; it is told to never reconnect."""
        command = [self.bindir / "pg_recvlogical", "-d", os.environ["PGDATABASE"], "-S", slot, "--start", "--no-loop"]
        command += ["-f", "/dev/null", *arguments]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def pgbench(self, *arguments):
        """Transactions per second of one run, without the time to connect."""
        done = subprocess.run([self.bindir / "pgbench", "-n", *map(str, arguments)], capture_output=True, text=True)
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
        if done.returncode != 0 or not found:
            raise BenchError(done.stderr.strip() or "pgbench says nothing")
        return float(found.group(1))

    def cpu_seconds(self):
        """CPU time of the postmaster, of its processes, and of those that have ended.

        Read again while processes end: one that the postmaster waits for in between would be missing.
        """
        processes, before = self.processes_ticks(), None
        while before is None or before.keys() != processes.keys():
            before, processes = processes, self.processes_ticks()
        return sum(processes.values()) / os.sysconf("SC_CLK_TCK")

    def processes_ticks(self):
        ticks = {}
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                # After the name, which stands in parentheses: state, parent, ...
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(process.name) == self.postmaster:
                ticks[process.name] = sum(map(int, fields[11:15]))  # its own, and of children that it waited for
            elif int(fields[1]) == self.postmaster:
                ticks[process.name] = sum(map(int, fields[11:13]))
        return ticks

    def cost_of_pgbench(self, *arguments, seconds):
        """A run of that length: transactions per second, and the server's CPU milliseconds for each of them."""
        before = self.cpu_seconds()
        tps = self.pgbench(*arguments, "-T", seconds)
        return {"tps": tps, "cpu_ms": (self.cpu_seconds() - before) * 1000 / (tps * seconds)}

    def find_walsender(self):
        """The process id of this server's walsender, if there is one yet. Asks /proc, so as not to disturb it."""
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                if not (process / "cmdline").read_bytes().startswith(b"postgres: walsender"):
                    continue
                # After the name, which stands in parentheses: state, parent, ...
                parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if int(parent) == self.postmaster:
                return int(process.name)
        return None

    def wait_for(self, condition, what, seconds=60.0, interval=0.02):
        """Until the SQL condition is true."""
        deadline = time.monotonic() + seconds
        while self.sql(f"SELECT {condition}") != "t":
            if time.monotonic() > deadline:
                raise BenchError(f"{what}: not within {seconds:.0f} s")
            time.sleep(interval)


# --- how results read -----------------------------------------------------------------------------------------------


def machine_line(server):
    """What the figures were measured on; figures of different machines must not be compared."""
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        kilobytes = int(meminfo.readline().split()[1])
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model}), {kilobytes / 1024 / 1024:.0f} GB memory, "
        f"Linux {platform.release()}, PostgreSQL {server.sql('SHOW server_version')}"
    )


def significant(value):
    """Three significant digits, but never fewer decimals than a reader can compare: 0.0123, 1.23, 12.3, 123."""
    if value is None:
        return "–"
    for limit, digits in ((0.1, 4), (1, 3), (10, 2), (100, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def markdown_table(header, rows):
    """The first column is text, the others are numbers."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def cost_table(name, results):
    """Of lists of what Server.cost_of_pgbench() returned; results are by title."""
    rows = []
    for title, runs in results.items():
        tps = [run["tps"] for run in runs]
        cpu = statistics.median(run["cpu_ms"] for run in runs)
        rows.append([title, f"{statistics.median(tps):,.0f}", f"{min(tps):,.0f} – {max(tps):,.0f}", significant(cpu)])
    return markdown_table([name, "median tps", "min – max", "server CPU ms per transaction"], rows)


def write_results(directory, name, markdown, raw):
    (directory / f"{name}.md").write_text(markdown + "\n", encoding="utf-8")
    (directory / f"{name}.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
    print(markdown)
