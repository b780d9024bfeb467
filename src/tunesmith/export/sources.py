"""What a model was tuned on: rows, licences and generators of each source, as far as the data is still here."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tunesmith import formats
from tunesmith.data.inputs import take
from tunesmith.data.prepared import open_prepared
from tunesmith.errors import UserError
from tunesmith.export.conversations import recorded
from tunesmith.records import Rated, Refusal

Source = dict[str, Any]


def sources(manifest: dict[str, Any]) -> list[Source]:
    """The sources of the data that a manifest of tuning names, each as `data prepare` reports it.

    Keys: name; rows that were kept; licences and generators, with the rows of each; no_licence, no_generator: rows that
    say none. Of data that is gone, was changed, or lies on a hub, the name alone is known.
    """
    config, inputs = manifest.get("config") or {}, manifest.get("inputs") or {}
    format = str(config.get("format", "auto"))
    return [one for path in config.get("data") or () for one in known(path, format, inputs)]


def known(path: str, format: str, inputs: dict[str, str]) -> Iterator[Source]:
    unchanged = recorded({"config": {"data": [path]}, "inputs": inputs})
    if not unchanged or not take([path]).local:
        yield {"name": os.path.basename(path.rstrip("/"))}
        return
    try:
        found = open_prepared(Path(path)).report["sources"]
    except (UserError, OSError, msgspec.DecodeError):
        found = [counted(path, format)]
    for one in found:
        yield one | {"no_generator": one["kept"] - sum(one["generators"].values())}


def counted(path: str, format: str) -> Source:
    """What the rows say themselves."""
    licences, generators, kept = Counter[str](), Counter[str](), 0
    for record in formats.read([path], format):
        if isinstance(record, Refusal):
            continue
        row = record.conversation if isinstance(record, Rated) else record
        kept += 1
        licences[row.licence] += 1
        generators[row.generator] += 1
    return {
        "name": os.path.basename(path.rstrip("/")),
        "kept": kept,
        "licences": {word: count for word, count in licences.items() if word},
        "no_licence": licences[""],
        "generators": {word: count for word, count in generators.items() if word},
    }
