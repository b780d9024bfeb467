"""The report as one page that needs nothing else: tables, and plots as SVG within it."""

import warnings
from collections.abc import Callable
from importlib import resources
from io import StringIO
from typing import TYPE_CHECKING, Any

from tunesmith.messages import language, tr

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#2f5d8a"
PALE = "#9db8d2"


def page(report: dict[str, Any]) -> str:
    """HTML of a report, in the user's language."""
    import jinja2

    source = resources.files("tunesmith.data").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = lambda value: f"{value:,}"
    plots = {name: svg(draw, report, polar=name == "verbs") for name, draw in PLOTS.items() if worth(name, report)}
    return environment.from_string(source).render(report=report, plots=plots, tr=tr, language=language())


def worth(name: str, report: dict[str, Any]) -> bool:
    """Whether there is anything to draw."""
    return bool(report["verbs"]) if name == "verbs" else True


def svg(draw: Callable[["Axes", dict[str, Any]], None], report: dict[str, Any], polar: bool) -> str:
    """One plot; texts stay texts, so that the reader's own fonts show them."""
    import matplotlib
    from matplotlib.figure import Figure

    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tunesmith", "font.size": 9}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of ours, not of the reader's
        figure = Figure(figsize=(6, 6) if polar else (6.4, 2.8), layout="constrained")
        axes = figure.add_subplot(projection="polar" if polar else None)
        draw(axes, report)
        out = StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    return text[text.index("<svg") :]


def flow(axes: "Axes", report: dict[str, Any]) -> None:
    """Rows that come out of each step."""
    names = [f"{place}. {step['step']}" for place, step in enumerate(report["steps"])]
    axes.barh(names, [step["in"] for step in report["steps"]], color=PALE, label=tr("in"))
    axes.barh(names, [step["out"] for step in report["steps"]], color=INK, height=0.5, label=tr("out"))
    axes.invert_yaxis()
    axes.set_xlabel(tr("rows"))
    axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))


def lengths(axes: "Axes", report: dict[str, Any]) -> None:
    histogram = report["tokens"]["histogram"]
    axes.stairs(histogram["counts"], histogram["edges"], fill=True, color=INK)
    axes.set_xscale("log")
    axes.set_xlabel(tr("tokens of a row"))
    axes.set_ylabel(tr("rows"))


def sources(axes: "Axes", report: dict[str, Any]) -> None:
    names = [source["name"] for source in report["sources"]]
    axes.barh(names, [source["read"] for source in report["sources"]], color=PALE, label=tr("read"))
    axes.barh(names, [source["kept"] for source in report["sources"]], color=INK, height=0.5, label=tr("kept"))
    axes.invert_yaxis()
    axes.set_xlabel(tr("rows"))
    axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))


def verbs(axes: "Axes", report: dict[str, Any]) -> None:
    """Sunburst: verbs of the questions inside, what they ask for outside (Self-Instruct, figure 3)."""
    import matplotlib
    import numpy

    total = sum(verb["count"] for verb in report["verbs"])
    colours = matplotlib.colormaps["tab20"]
    start = 0.0
    for place, verb in enumerate(report["verbs"]):
        width = 2 * numpy.pi * verb["count"] / total
        ring(axes, verb["verb"], start, width, 0.3, colours(place % 20))
        inner = start
        for noun, count in verb["nouns"].items():
            ring(axes, noun, inner, 2 * numpy.pi * count / total, 0.65, colours(place % 20, alpha=0.55))
            inner += 2 * numpy.pi * count / total
        start += width
    axes.set_axis_off()


def ring(axes: "Axes", word: str, start: float, width: float, radius: float, colour: Any) -> None:
    """One piece of the sunburst, with its word where there is room."""
    import math

    axes.bar(start, 0.33, width, radius, align="edge", color=colour, edgecolor="white", linewidth=0.6)
    if width > 0.045:
        middle = start + width / 2
        turn = math.degrees(middle)
        axes.text(
            middle, radius + 0.165, word, ha="center", va="center", fontsize=7,
            rotation=turn + 180 if 90 < turn % 360 < 270 else turn,
        )  # fmt: skip


PLOTS: dict[str, Callable[["Axes", dict[str, Any]], None]] = {
    "flow": flow,
    "lengths": lengths,
    "sources": sources,
    "verbs": verbs,
}
