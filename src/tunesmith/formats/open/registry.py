"""LLaMA-Factory's dataset_info.json: names of data sets, with the layout of their fields."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.formats.nearest import nearest
from tunesmith.formats.row import Fault, Row
from tunesmith.messages import tr

NAME = "dataset_info.json"
PLACES = ("file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
FIELDS = {"alpaca": ("prompt", "query", "response", "history"), "sharegpt": ("messages",), "openai": ("messages",)}
ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
SHARED = ("system", "tools", "images", "videos", "audios", "chosen", "rejected", "kto_tag")
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
SPEAKERS = ("user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")


@dataclass(frozen=True, slots=True)
class Entry:
    """One named data set of a registry, beside the folder that its files are in."""

    name: str
    folder: Path
    spec: dict[str, Any]

    @property
    def path(self) -> Path | None:
        given = self.spec.get("file_name")
        return self.folder / given if isinstance(given, str) else None

    @property
    def formatting(self) -> str:
        return str(self.spec.get("formatting", "alpaca"))

    @property
    def format(self) -> str:
        """The format that the adapted rows have."""
        columns = self.columns
        if "kto_tag" in columns:
            return "kto"
        if self.spec.get("ranking"):
            return "preference"
        if self.formatting == "alpaca" and set(columns) == {"prompt"}:
            return "text"
        return self.formatting

    @property
    def columns(self) -> dict[str, str]:
        """Role of a column -> its name, where the registry says so."""
        given = self.spec.get("columns")
        return {key: name for key, name in given.items() if name} if isinstance(given, dict) else {}

    @property
    def limit(self) -> int | None:
        given = self.spec.get("num_samples")
        return given if isinstance(given, int) else None


def is_registry(path: Path) -> bool:
    """Whether a file of this name is LLaMA-Factory's; the datasets library uses the name for something else."""
    if path.name != NAME or not path.is_file():
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(content, dict) and any(isinstance(spec, dict) and places(spec) for spec in content.values())


def places(spec: dict[str, Any]) -> bool:
    return any(isinstance(spec.get(key), str) for key in PLACES)


def entries(path: Path) -> list[Entry]:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    return [checked(name, spec, path) for name, spec in content.items()]


def checked(name: str, spec: Any, path: Path) -> Entry:
    """The entry, or a UserError that says what in it cannot be followed."""
    if not isinstance(spec, dict) or not places(spec):
        reason = tr("{path}: {name} names no file_name or hub", path=path, name=name)
        raise UserError(reason, tr("add one of {fields}", fields=", ".join(PLACES[:3])))
    entry = Entry(name, path.parent, spec)
    if entry.formatting not in FIELDS:
        reason = tr("{path}: {name} has formatting {value}", path=path, name=name, value=ascii(entry.formatting))
        raise UserError(reason, tr("use one of {fields}", fields=", ".join(FIELDS)))
    for key in entry.columns:
        if key not in (*FIELDS[entry.formatting], *SHARED):
            reason = tr("{path}: {name} maps an unknown column {value}", path=path, name=name, value=ascii(key))
            raise UserError(reason, nearest(key, (*FIELDS[entry.formatting], *SHARED)))
    return entry


def chosen(path: Path, name: str) -> Entry:
    """The entry of this name."""
    found = {entry.name: entry for entry in entries(path)}
    if name not in found:
        raise UserError(tr("{path} has no data set {name}", path=path, name=name), nearest(name, tuple(found)))
    return found[name]


def adapt(entry: Entry, row: Row) -> Row:
    """The row with the fields that its format expects; raises Fault where a promised column is missing."""
    if not isinstance(row.value, dict):
        return row
    columns = entry.columns
    promised = [name for key, name in columns.items() if key in ("messages", "prompt", "kto_tag", "chosen", "rejected")]
    for name in promised:
        if name not in row.value:
            raise Fault(name, tr("is missing, though dataset_info.json names it"), tr("correct columns there"))
    if entry.format == "text":
        return Row(row.origin, {"text": row.value[columns["prompt"]]}, row.header)
    given = {key: row.value[name] for key, name in columns.items() if name in row.value}
    value = conversation(entry, row.value, given) if "messages" in FIELDS[entry.formatting] else question(row, given)
    value |= {key: given[key] for key in SHARED if key in given and key != "kto_tag"}
    if "kto_tag" in given:
        value["label"] = given["kto_tag"]
    for key in ("chosen", "rejected"):
        if isinstance(value.get(key), dict):
            value[key] = respoken(entry, value[key])
    return Row(row.origin, value, row.header)


def question(row: Row, given: dict[str, Any]) -> dict[str, Any]:
    """Alpaca's fields. Under `ranking`, an older layout gives the better and the worse answer as a list."""
    own = row.value
    value = {field: given.get(key, own.get(field)) for key, field in ALPACA.items() if key in given or field in own}
    answer = value.get("output")
    if isinstance(answer, list) and len(answer) == 2:
        value |= {"chosen": answer[0], "rejected": answer[1]}
        del value["output"]
    return value


def conversation(entry: Entry, value: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The turns in the spelling of the format, whatever the registry's tags call them."""
    turns = given.get("messages", value.get("conversations"))
    if entry.formatting == "openai":
        return {"messages": turns}
    return {"conversations": [respoken(entry, turn) for turn in turns] if isinstance(turns, list) else turns}


def respoken(entry: Entry, turn: Any) -> Any:
    """One turn as {"from", "value"}; fields besides these stay as they are."""
    if not isinstance(turn, dict):
        return turn
    given = entry.spec.get("tags")
    tags = TAGS | (given if isinstance(given, dict) else {})
    speakers = {tags[key]: TAGS[key] for key in SPEAKERS}
    speaker = turn.get(tags["role_tag"])
    named = {"from": speakers.get(speaker, speaker) if isinstance(speaker, str) else speaker}
    others = {key: item for key, item in turn.items() if key not in (tags["role_tag"], tags["content_tag"])}
    return {**named, "value": turn.get(tags["content_tag"]), **others}


def local(path: Path) -> Iterator[Entry]:
    return (entry for entry in entries(path) if entry.path is not None)
