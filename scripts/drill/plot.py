"""The plot of a drill as an SVG that can be read on a light and on a dark page."""

import io

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# Stands for the page's text colour, which is not known here.
INK = "#010203"
STYLE = ("<style>svg{color:#24292f}@media (prefers-color-scheme: dark){svg{color:#d0d7de}}"
         "text{font-family:system-ui,sans-serif}</style>")
LINES = ("#2f81f7", "#d29922")
EVENTS = {"notice": "#3fa34d", "warning": "#d29922", "critical": "#e5534b", "lost": "#a371f7", "PANIC": "#a371f7"}
MB = 1 << 20
GAP = 5  # seconds


def curve(axes, variant, points, **look):
    """(Unix time, value) as a line, with a gap where for some seconds there was nothing to measure."""
    xs, ys, before = [], [], None
    for at, value in points:
        if before is not None and at - before > GAP:
            xs.append(variant.steps.seconds(before))
            ys.append(float("nan"))
        xs.append(variant.steps.seconds(at))
        ys.append(value)
        before = at
    axes.plot(xs, ys, **look)


def slot_lines(axes, variant):
    """What each slot retains, and the size of pg_wal."""
    # The second one thinner, so that both show where they are the same.
    for consumer, colour, width in zip(variant.consumers, LINES, (2.4, 1.2)):
        samples = variant.sampler.of(consumer.slot)
        curve(axes, variant, [(sample["at"], (sample["retained_bytes"] or 0) / MB) for sample in samples], color=colour,
              linewidth=width, label=f"retained by slot {consumer.slot}")
    curve(axes, variant, [(at, size / MB) for at, size in variant.sampler.pg_wal], color=INK, alpha=0.55, linewidth=1,
          label="size of pg_wal")


def event_lines(axes, variant, labels):
    for at, label in variant.events:
        x = variant.steps.seconds(at)
        axes.axvline(x, color=EVENTS.get(label, INK), linewidth=1, linestyle=":")
        if labels:
            axes.annotate(label, (x, 1.01), xycoords=("data", "axes fraction"), rotation=40, fontsize=9,
                          color=EVENTS.get(label, INK))


def predictions(axes, variant, slot, reached):
    """The time left that cdc.slots predicted, against what came."""
    samples = [sample for sample in variant.sampler.of(slot, variant.frozen_at)
               if sample["seconds_to_cap"] is not None and sample["at"] <= reached]
    curve(axes, variant, [(sample["at"], sample["seconds_to_cap"]) for sample in samples], color=LINES[0],
          linewidth=1.8, label="predicted")
    began, end = variant.steps.seconds(variant.frozen_at), variant.steps.seconds(reached)
    axes.plot([began, end], [end - began, 0], color=INK, linewidth=1, linestyle="--", label="actual")
    axes.set_ylabel("seconds left")
    axes.set_ylim(bottom=0)


def write_svg(variant, path):
    """Retained WAL, the time left where there was a limit, and the writer, above each other over the same seconds."""
    reached = variant.reached()
    heights = [3, 1.3, 1] if reached else [3, 1]
    # All samples are drawn, those on a straight line, too: they are the evidence.
    with plt.rc_context({"path.simplify": False, "svg.fonttype": "none", "svg.hashsalt": "drill", "text.color": INK,
                         "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
                         "font.size": 10}):
        figure, panels = plt.subplots(len(heights), 1, sharex=True, figsize=(9, 1.3 + 1.15 * sum(heights)),
                                      gridspec_kw={"height_ratios": heights})
        slot_lines(panels[0], variant)
        for megabytes, label in variant.limits():
            panels[0].axhline(megabytes, color="#e5534b", linewidth=1, linestyle="--", label=label)
        panels[0].set_ylabel("MB")
        panels[0].set_ylim(bottom=0)
        if reached:
            predictions(panels[1], variant, variant.consumers[0].slot, reached)
        curve(panels[-1], variant, variant.writer.per_second(), color="#3fa34d", linewidth=1.2,
              label="commits per second")
        panels[-1].set_ylabel("commits/s")
        panels[-1].set_ylim(bottom=0)
        panels[-1].set_xlabel("seconds since the drill began")
        # Where no line is: WAL climbs from left to right, the time left falls, and commits stay above.
        for panel, place in zip(panels, ["center left", "upper right", "lower left"] if reached else
                                ["center left", "lower left"]):
            event_lines(panel, variant, labels=panel is panels[0])
            panel.grid(alpha=0.15, color=INK)
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(loc=place, fontsize=9, frameon=False)
        figure.tight_layout()
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    svg = text.getvalue()
    svg = svg[svg.index("<svg"):].replace(INK, "currentColor")
    head_end = svg.index(">") + 1
    svg = svg[:head_end] + STYLE + svg[head_end:]
    path.write_text(svg, encoding="utf-8")
    return svg
