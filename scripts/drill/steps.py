"""The steps of a drill: each is done, checked, printed and kept for the report."""

import sys
import time
from dataclasses import dataclass

from cluster import DrillError


@dataclass
class Step:
    """What was to happen, what was seen, and when it was over."""

    title: str
    seen: str
    seconds: float  # since the drill began
    ok: bool = True


class Steps:
    """In their order. The first one that does not happen ends the drill."""

    def __init__(self):
        self.began = time.time()
        self.done = []

    def run(self, title, function, *arguments):
        """`function` returns what was seen, and raises when that is not what has to happen."""
        print(f"  ...  {title}", file=sys.stderr, flush=True)
        try:
            seen = function(*arguments)
        except Exception as error:
            self.done.append(Step(title, f"FAILED: {error}", time.time() - self.began, ok=False))
            raise DrillError(f"{title}: {error}") from error
        self.done.append(Step(title, seen, time.time() - self.began))
        print(f"{self.done[-1].seconds:5.0f}  {title}: {seen}", flush=True)

    def seconds(self, at):
        """Of a Unix time, since the drill began."""
        return at - self.began


def check(condition, otherwise):
    if not condition:
        raise DrillError(otherwise)


def megabytes(count):
    return f"{count / 1024 / 1024:.1f} MB"
