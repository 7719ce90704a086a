"""Runs one variant of the incident drill on the private server that scripts/demo started, and writes its report."""

import argparse
import signal
import sys
from pathlib import Path

from capped import Capped
from cluster import Cluster
from common import BenchError, fail_clearly, positive
from long_transaction import LongTransaction
from no_cap import NoCap
from report import write_report

VARIANTS = {"drill": Capped, "no-cap": NoCap, "long-transaction": LongTransaction}



def setting(text):
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"NAME=VALUE is needed, not {text!r}")
    return name, value


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("--cap", type=positive(int), default=64, metavar="MB", help="the slot's cap (default 64); no-cap has none")
    parser.add_argument("--rate", type=positive(float), metavar="MB", help="WAL per second (default by variant)")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the server, to see what the drill says then")
    # scripts/demo fills these in.
    parser.add_argument("--settings", action="store_true", help=argparse.SUPPRESS)
    for internal in ("--bindir", "--data-dir", "--work", "--out", "--consumer", "--small-fs"):
        parser.add_argument(internal, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.rate = arguments.rate or VARIANTS[arguments.variant].rate
    arguments.report = arguments.variant
    return arguments


def main():
    options = parse_arguments()
    kind = VARIANTS[options.variant]
    if options.settings:
        print("\n".join(f"{name} = {value}" for name, value in kind.server_settings(options).items()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a frozen consumer is not left behind
    cluster = Cluster(options.bindir, options.data_dir)
    variant = kind(cluster, options)
    try:
        variant.run()
    except BenchError as error:
        print(f"report of what happened: {write_report(variant, error)[0]}", file=sys.stderr)
        raise
    pages = write_report(variant)
    print(f"\n{pages[0].read_text(encoding='utf-8')}\nreport: {pages[0]}\n        {pages[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(fail_clearly(main))
