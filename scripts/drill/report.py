"""The report of a drill: Markdown, and the same as one HTML page with the plot inside."""

import datetime
import html

import markdown
from common import markdown_table
from writer import TICK

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #24292f; --page: #fff; --line: #d0d7de; --box: #f6f8fa }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #d0d7de; --page: #0d1117; --line: #30363d; --box: #161b22 }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 62rem;
       margin: 2rem auto; padding: 0 1rem }}
/* What is too wide for a phone scrolls by itself. */
table {{ border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }}
th, td {{ border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top }}
td:last-child {{ overflow-wrap: anywhere }}
td:nth-child(3):last-child {{ white-space: nowrap }}
pre {{ overflow-x: auto }}
code {{ background: var(--box); padding: .1rem .3rem; overflow-wrap: anywhere }}
p:has(> svg) {{ overflow-x: auto }}
svg {{ width: 100%; max-width: 54rem; min-width: 36rem; height: auto }}
</style></head><body>
{body}
</body></html>
"""


# What the guard and the invalidation leave in the server's log.
LOGGED = "(NOTICE|WARNING):  replication slot|DETAIL:  Cause: |invalidating |PANIC: "


def clock(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%H:%M:%S.%f")[:-3]


def cell(text):
    """For a table: on one line, without what would end the cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(header, rows):
    return markdown_table(header, [[cell(value) for value in row] for row in rows]).replace("---:", "---")


def alert_rows(variant):
    """Predicted against actual, from the moment of each alert."""
    reached = variant.reached()
    rows = []
    for alert in variant.alerts:
        actual = reached - alert["at"] if reached else None
        predicted = alert["seconds_to_cap"]
        rows.append([
            f"{alert['severity']} ({alert['level']})", f"{alert['at'] - variant.frozen_at:.1f} s",
            f"{alert['share']:.0%}", alert["cause"], f"{predicted:.1f} s",
            f"{actual:.1f} s" if reached else "–", f"{round(predicted - actual, 1) + 0.0:+.1f} s" if reached else "–",
        ])
    return rows


def as_markdown(variant, failure, plot_name):
    steps = [[step.title, step.seen, f"{step.seconds:.1f} s"] for step in variant.steps.done]
    now = datetime.datetime.now(datetime.timezone.utc)
    text = [
        f"# {variant.title}",
        f"`scripts/demo {variant.options.variant}`, {now:%Y-%m-%d %H:%M} UTC. The writer was set to "
        f"{variant.options.rate} MB of WAL per second and a transaction every {1000 * TICK:.0f} ms. Apart from that and "
        "the cap, every figure was measured in this run.",
        f"Machine: {variant.machine}.",
        f"**FAILED**: {failure}" if failure
        else f"All {len(steps)} steps happened, in {variant.steps.done[-1].seconds:.0f} s.",
        "## Steps", table(["step", "what was seen", "at"], steps),
    ]
    if not failure:
        text += ["## Plot", f"![WAL that the slot retains, over time]({plot_name})", "## Figures",
                 table(["", "figure"], variant.summary() + writer_rows(variant.writer))]
    if variant.alerts:
        text += ["## Alerts", "Time left until the limit, as the guard predicted it, and as it was.", table(
            ["alert", "after the freeze", "headroom left", "cause", "predicted", "actual", "error"],
            alert_rows(variant)), "The server's log has, of all slots:",
            "\n".join(f"    {clock(at)} {line}" for at, line in variant.cluster.logged(LOGGED))]
    if variant.commands:
        text += ["## What the runbook printed", table(["step", "command", "took", "output"], [
            [title, f"`{command}`" if command else "", f"{seconds:.1f} s", short(output)]
            for title, command, seconds, output in variant.commands])]
    text += ["## Settings of the server", table(["setting", "value"], [
        [f"`{name}`", value.strip("'")] for name, value in variant.server_settings(variant.options).items()])]
    return "\n\n".join(text) + "\n"


def writer_rows(writer):
    outage = writer.outage()
    return [
        ("transactions committed", f"{len(writer.committed):,}"), ("statements answered", f"{writer.statements:,}"),
        ("failed writes", f"{len(writer.errors):,}"),
        ("longest pause between two commits", f"{writer.longest_pause():.2f} s"),
        *([("outage, from the first failed write", f"{outage:.1f} s")] if outage else []),
    ]


def short(output, limit=300):
    return output if len(output) <= limit else output[:limit] + " …"


def write_report(variant, failure=None):
    """NAME.md, NAME.html and NAME.svg; a drill that failed has no plot. Returns the paths of the first two."""
    name = variant.options.report
    folder = variant.options.out
    svg_path = folder / f"{name}.svg"
    svg_path.unlink(missing_ok=True)
    text = as_markdown(variant, failure, svg_path.name)
    body = markdown.markdown(html.escape(text, quote=False), extensions=["tables"])
    if not failure:
        from plot import write_svg  # only here, because it takes seconds to load

        svg = write_svg(variant, svg_path)
        image = body[body.index("<img"):]
        body = body.replace(image[:image.index(">") + 1], svg)
    pages = folder / f"{name}.md", folder / f"{name}.html"
    pages[0].write_text(text, encoding="utf-8")
    pages[1].write_text(PAGE.format(title=html.escape(variant.title), body=body), encoding="utf-8")
    return pages
