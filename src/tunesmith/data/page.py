"""The report as one page that needs nothing else: tables, and plots as SVG within it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from tunesmith.messages import language, tr

WIDTH, HEIGHT = 400, 200  # of what bars and the histogram may fill
INNER, MIDDLE, OUTER = 60.0, 130.0, 200.0  # radii of the sunburst
WORTH = 0.045  # radians below which there is no room for a word


@dataclass(frozen=True, slots=True)
class Bar:
    """A name with a pale bar for all, a dark one for a part of it; widths in pixels."""

    name: str
    all: int
    part: int
    wide: float
    dark: float


@dataclass(frozen=True, slots=True)
class Ring:
    """A piece of the sunburst: its outline as an SVG path, its colour, and its word with place and turn in degrees."""

    path: str
    colour: str
    word: str
    x: float
    y: float
    turn: float


def page(report: dict[str, Any]) -> str:
    """HTML of a report, in the user's language."""
    import jinja2

    folder = jinja2.FunctionLoader(lambda name: resources.files("tunesmith.data").joinpath(name).read_text("utf-8"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, loader=folder)
    environment.filters |= {"number": lambda value: f"{value:,}", "px": lambda value: f"{value:.1f}"}
    plots = {"flow": flow(report), "columns": columns(report), "sources": sources(report), "rings": list(rings(report))}
    return environment.get_template("page.html.jinja").render(
        report=report, **plots, width=WIDTH, height=HEIGHT, tr=tr, language=language()
    )


def flow(report: dict[str, Any]) -> list[Bar]:
    """Rows that come out of each step."""
    steps = enumerate(report["steps"])
    return bars([(f"{place}. {step['step']}", step["in"], step["out"]) for place, step in steps])


def sources(report: dict[str, Any]) -> list[Bar]:
    """Rows kept of each source."""
    return bars([(source["name"], source["read"], source["kept"]) for source in report["sources"]])


def bars(rows: list[tuple[str, int, int]]) -> list[Bar]:
    most = max((max(every, part) for _, every, part in rows), default=0) or 1
    return [Bar(name, every, part, WIDTH * every / most, WIDTH * part / most) for name, every, part in rows]


def columns(report: dict[str, Any]) -> dict[str, Any]:
    """The histogram of tokens a row: (x, width, height) of each bin, and (x, tokens) of each power of ten."""
    edges, counts = report["tokens"]["histogram"]["edges"], report["tokens"]["histogram"]["counts"]
    scale = WIDTH / (math.log(edges[-1] / edges[0]) or 1)
    places = [scale * math.log(edge / edges[0]) for edge in edges]
    most = max(counts, default=0) or 1
    bins = [(x, end - x, HEIGHT * count / most) for x, end, count in zip(places, places[1:], counts, strict=False)]
    ticks = [(scale * math.log(tick / edges[0]), tick) for tick in powers(edges[-1])]
    return {"bins": bins, "ticks": ticks, "most": most}


def powers(most: int) -> Iterator[int]:
    """1, 10, 100, … up to the most."""
    return (10**power for power in range(len(str(most))) if 10**power <= most)


def rings(report: dict[str, Any]) -> Iterator[Ring]:
    """Sunburst: verbs of the questions inside, what they ask for outside (Self-Instruct, figure 3)."""
    total = sum(verb["count"] for verb in report["verbs"])
    start = 0.0
    for place, verb in enumerate(report["verbs"]):
        hue = 360 * place // len(report["verbs"])
        yield ring(verb["verb"], start, verb["count"] / total, INNER, MIDDLE, f"hsl({hue} 50% 60%)")
        inner = start
        for noun, count in verb["nouns"].items():
            yield ring(noun, inner, count / total, MIDDLE, OUTER, f"hsl({hue} 50% 80%)")
            inner += count / total
        start += verb["count"] / total


def ring(word: str, start: float, share: float, near: float, far: float, colour: str) -> Ring:
    """The part of a turn from `start` on, between two radii, with its word along the radius where there is room."""
    first, last = (2 * math.pi * (start + part) for part in (0, min(share, 0.9999)))  # a whole circle is no arc
    (a, b), (c, d), (e, f), (g, h) = (at(*end) for end in ((first, near), (first, far), (last, far), (last, near)))
    large = int(last - first > math.pi)
    path = (
        f"M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}A{far:g} {far:g} 0 {large} 1 {e:.1f} {f:.1f}"
        f"L{g:.1f} {h:.1f}A{near:g} {near:g} 0 {large} 0 {a:.1f} {b:.1f}Z"
    )
    middle = (first + last) / 2
    turn = math.degrees(middle) % 360 - 90
    x, y = at(middle, (near + far) / 2)
    return Ring(path, colour, word if last - first > WORTH else "", x, y, turn + 180 if 90 < turn < 270 else turn)


def at(angle: float, radius: float) -> tuple[float, float]:
    """x and y, clockwise from the top."""
    return radius * math.sin(angle), -radius * math.cos(angle)
