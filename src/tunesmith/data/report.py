"""What became of the rows, and what those that are left are like: plain data, from the files of a prepared folder."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.data.prepared import Prepared
from tunesmith.messages import tr

if TYPE_CHECKING:
    from pyarrow.lib import Table

EXAMPLES = 3  # shown of each reason
LENGTH = 300  # characters of an example
VERBS, NOUNS = 20, 5  # the most frequent verbs, and the most frequent nouns of each: Self-Instruct, figure 3
PERCENTILES = (5, 25, 50, 75, 95, 99)
BINS = 40
CLOSED = re.compile(r"\bnc\b|non[- ]?commercial|research[- ]only|非商业|仅限研究", re.IGNORECASE)
WORDS = ("source", "licence", "generator", "language", "verb", "noun")
NUMBERS = ("tokens", "characters", "turns")


def told(made: Prepared, steps: Sequence[dict[str, Any]], read: Counter[str]) -> dict[str, Any]:
    """The report; `steps` are the counts of each, `read` the rows of each source."""
    table = made.columns((*WORDS, *NUMBERS), coded=WORDS)
    sources = [about_source(table, name, count) for name, count in sorted(read.items())]
    return {
        "rows": table.num_rows,
        "read": sum(read.values()),
        "steps": list(steps),
        "examples": examples(made.rejects()),
        **{name: spread(table, name) for name in NUMBERS},
        "languages": counted(table, "language"),
        "sources": sources,
        "verbs": verbs(table),
        "warnings": [warning for source in sources for warning in warnings(source)],
    }


def counted(table: "Table", name: str) -> dict[str, int]:
    """How often each value occurs, the most frequent first."""
    found = table.group_by(name).aggregate([(name, "count")]).to_pylist()
    pairs = sorted(
        ((row[name], row[f"{name}_count"]) for row in found if row[name]), key=lambda pair: (-pair[1], pair[0])
    )
    return dict(pairs)


def spread(table: "Table", name: str) -> dict[str, Any]:
    """Total, percentiles and a histogram over bins that grow evenly in the logarithm."""
    import numpy

    values = table.column(name).to_numpy()
    edges = numpy.unique(numpy.geomspace(1, max(2, int(values.max()) + 1), BINS).round()).astype(int)
    counts, _ = numpy.histogram(numpy.maximum(values, 1), edges)
    at = numpy.percentile(values, PERCENTILES, method="nearest")
    return {
        "total": int(values.sum()),
        "least": int(values.min()),
        "most": int(values.max()),
        **{f"p{percent}": int(value) for percent, value in zip(PERCENTILES, at, strict=True)},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def about_source(table: "Table", name: str, read: int) -> dict[str, Any]:
    from pyarrow import compute

    own = table.select(["source", "tokens", "licence", "generator"]).filter(compute.field("source") == name)
    unstated = own.num_rows - sum(counted(own, "licence").values())
    return {
        "name": name,
        "read": read,
        "kept": own.num_rows,
        "tokens": int(own.column("tokens").to_numpy().sum()),
        "licences": counted(own, "licence"),
        "no_licence": unstated,
        "generators": counted(own, "generator"),
    }


def closed(source: dict[str, Any]) -> dict[str, int]:
    """Rows by licence, of the licences that forbid commercial use."""
    licences = source.get("licences", {})
    return {licence: count for licence, count in licences.items() if CLOSED.search(licence)}


def warnings(source: dict[str, Any]) -> list[str]:
    """What to know before a model tuned on these rows is given away."""
    told = [
        tr("{source}: {count} rows are licensed {licence}: not for commercial use", source=source["name"],
           count=count, licence=licence)
        for licence, count in closed(source).items()
    ]  # fmt: skip
    if source["no_licence"]:
        told.append(tr("{source}: {count} rows state no licence", source=source["name"], count=source["no_licence"]))
    return told


def verbs(table: "Table") -> list[dict[str, Any]]:
    """The most frequent verbs of questions, and the nouns that they ask for."""
    pairs: dict[str, Counter[str]] = {}
    found = table.group_by(["verb", "noun"]).aggregate([("noun", "count")]).to_pylist()
    for row in found:
        if row["verb"] and row["noun"]:
            pairs.setdefault(row["verb"], Counter())[row["noun"]] += row["noun_count"]
    ranked = sorted(pairs.items(), key=lambda pair: (-pair[1].total(), pair[0]))[:VERBS]
    return [
        {
            "verb": verb,
            "count": nouns.total(),
            "nouns": dict(sorted(nouns.items(), key=lambda n: (-n[1], n[0]))[:NOUNS]),
        }
        for verb, nouns in ranked
    ]


def examples(rejects: Iterable[dict[str, Any]]) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Step → reason → the first rows that were let go for it."""
    found: dict[str, dict[str, list[dict[str, str]]]] = {}
    for row in rejects:
        some = found.setdefault(row["step"], {}).setdefault(row["reason"], [])
        if len(some) < EXAMPLES:
            place = f"{row['file']}:{row['line']}" if row["line"] else row["file"]
            some.append({"id": row["id"], "place": place, "detail": row["detail"], "text": excerpt(row["raw"])})
    return found


def excerpt(raw: str) -> str:
    """The start of what the row says; of one that could not be read, of the row itself."""
    try:
        record = msgspec.json.decode(raw)
        turns = record["messages"]
        said = " ⏎ ".join(part["text"] for turn in turns for part in turn["parts"])
    except (msgspec.DecodeError, KeyError, TypeError):
        said = raw
    return said if len(said) <= LENGTH else f"{said[:LENGTH]}…"
