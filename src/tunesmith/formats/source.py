"""From the paths that a user gives to files that are read one after the other."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.formats import detect
from tunesmith.formats.open import STRUCTURED, SUFFIXES, open_rows, registry, suffix
from tunesmith.formats.open.hub import ID, read_hub
from tunesmith.formats.row import Fault, Row, refuse
from tunesmith.messages import tr
from tunesmith.records import Origin, Record, Refusal

Rows = Iterator[Row | Refusal]


@dataclass(frozen=True, slots=True)
class Source:
    """One file (or hub data set): its name, its format, and its records as they are read."""

    name: str
    format: str
    records: Iterator[Record | Refusal]


def sources(paths: Sequence[str], format: str = "auto") -> Iterator[Source]:
    """All that the paths name, in order; paths that cannot be read are a UserError before anything is."""
    if format != "auto":
        detect.named(format)
    for path in paths:
        check(path)
    for path in paths:
        yield from located(path, format)


def check(given: str) -> None:
    """Raise UserError unless the path, or the registry before #, is there and may be read."""
    path, _ = divided(given)
    if path.is_dir() or is_hub(given):
        return
    if not path.exists():
        cure = tr("check the spelling; a hub id has the form owner/name")
        raise UserError(tr("{path} does not exist", path=printable(given)), cure)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UserError(tr("{path} cannot be read", path=printable(given)), tr("check its permissions"))


def divided(given: str) -> tuple[Path, str]:
    """ "data/dataset_info.json#name" -> (data/dataset_info.json, name); any other path has no name."""
    before, mark, name = given.rpartition("#")
    path = Path(before)
    if mark and (path.name == registry.NAME or path.is_dir()) and not os.path.exists(given):
        return (path / registry.NAME if path.is_dir() else path), name
    return Path(given), ""


def is_hub(given: str) -> bool:
    """Whether the text is a hub id and cannot be meant as a file."""
    path = Path(given)
    here = path.exists() or path.parent.is_dir() or suffix(path) in SUFFIXES
    return ID.fullmatch(given) is not None and not here


def located(given: str, format: str) -> Iterator[Source]:
    path, name = divided(given)
    if name:
        yield from registered(registry.chosen(path, name), format)
    elif is_hub(given):
        yield source(given, iter(read_hub(given)), format)
    elif registry.is_registry(path / registry.NAME if path.is_dir() else path):
        yield from whole_registry(path / registry.NAME if path.is_dir() else path, path.is_dir(), format)
    elif path.is_dir():
        yield from folder(path, format)
    else:
        yield source(printable(given), open_rows(path, printable(given)), format)


def files(given: str) -> tuple[Path, ...] | None:
    """Every file here that the reading of a path depends on, in order; None where a hub is read.

    Raises UserError where the path cannot be read, as reading it does.
    """
    check(given)
    path, name = divided(given)
    listing = path / registry.NAME if path.is_dir() else path
    if name:
        entry = registry.chosen(path, name)
        return None if entry.path is None else (path, *entry_files(entry))
    if is_hub(given):
        return None
    if registry.is_registry(listing):
        named = [file for entry in registry.entries(listing) for file in entry_files(entry)]
        return tuple(dict.fromkeys([listing, *named, *(data_files(path) if path.is_dir() else ())]))
    return tuple(data_files(path)) if path.is_dir() else (path,)


def entry_files(entry: registry.Entry) -> list[Path]:
    """The files here that hold the records of a registry entry."""
    if entry.path is None or not entry.path.exists():
        return []
    return data_files(entry.path) if entry.path.is_dir() else [entry.path]


def folder(path: Path, format: str) -> Iterator[Source]:
    """The data files of a folder and those below it; prose counts only where there is nothing else."""
    files = data_files(path)
    if not files:
        cure = tr("give a folder with {suffixes} files", suffixes=", ".join(SUFFIXES))
        raise UserError(tr("{path} holds no data files", path=printable(path)), cure)
    for file in files:
        yield source(printable(file), open_rows(file, printable(file)), format)


def data_files(path: Path) -> list[Path]:
    """Sorted; hidden files and folders are left out, and registries, which are not data. Of prepared data, its rows."""
    if (path / "data").is_dir() and (path / "rejects.parquet").is_file():
        path = path / "data"
    found = [
        file
        for file in sorted(path.rglob("*"))
        if suffix(file) in SUFFIXES and file.is_file() and file.name != registry.NAME and not hidden(file, path)
    ]
    structured = [file for file in found if suffix(file) in STRUCTURED]
    return structured or found


def hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def whole_registry(path: Path, as_folder: bool, format: str) -> Iterator[Source]:
    """All local data sets of a dataset_info.json; what is not read is said in refusals."""
    entries = registry.entries(path)
    local = [entry for entry in entries if entry.path is not None]
    for entry in local:
        yield from registered(entry, format)
    remote = [entry.name for entry in entries if entry.path is None]
    left = list(unlisted(path.parent, local)) if as_folder else []
    if remote:
        left.append(on_hubs(path, remote))
    if left:
        yield Source(printable(path), "-", iter(left))


def unlisted(folder: Path, entries: Sequence[registry.Entry]) -> Iterator[Refusal]:
    """Data files in the folder that the registry does not name."""
    listed = [entry.path.resolve() for entry in entries if entry.path]
    for file in data_files(folder):
        if not any(file.resolve() == path or path in file.resolve().parents for path in listed):
            cure = tr("add it there, or give its own path")
            yield Refusal(Origin(printable(file)), "file", tr("is not listed in dataset_info.json"), cure)


def on_hubs(path: Path, names: Sequence[str]) -> Refusal:
    reason = tr("{count} data sets are on a hub and were not read", count=len(names))
    cure = tr("name the one you want, such as {path}#{name}", path=printable(path), name=names[0])
    return Refusal(Origin(printable(path)), "file", reason, cure)


def registered(entry: registry.Entry, format: str) -> Iterator[Source]:
    """The files of one registry entry, with their fields named as its format expects."""
    form = entry.format if format == "auto" else format
    if entry.path is None:
        yield source(entry.name, islice(adapted(entry, remote(entry)), entry.limit), form)
        return
    if not entry.path.exists():
        reason = tr("does not exist, though dataset_info.json names it for {name}", name=entry.name)
        refusal = Refusal(Origin(printable(entry.path)), "file", reason, tr("restore it, or remove the entry"))
        yield Source(printable(entry.path), form, iter([refusal]))
        return
    for file in entry_files(entry):
        rows = adapted(entry, open_rows(file, printable(file)))
        yield source(printable(file), islice(rows, entry.limit), form)


def remote(entry: registry.Entry) -> Rows:
    """Rows of an entry that lives on the Hugging Face hub."""
    spec = entry.spec
    if not spec.get("hf_hub_url"):
        reason = tr("{name} is not on the Hugging Face hub", name=entry.name)
        raise UserError(reason, tr("download it, and give its file_name in dataset_info.json"))
    return iter(read_hub(spec["hf_hub_url"], spec.get("subset"), spec.get("split", "train"), spec.get("folder")))


def adapted(entry: registry.Entry, rows: Rows) -> Rows:
    for row in rows:
        try:
            yield registry.adapt(entry, row) if isinstance(row, Row) else row
        except Fault as fault:
            yield refuse(row, fault) if isinstance(row, Row) else row


def source(name: str, rows: Rows, format: str) -> Source:
    """The records of the rows, in the named format or in the one that fits the first of them best."""
    first = list(islice(rows, detect.LOOKED_AT)) if format == "auto" else []
    chosen = detect.named(format) if format != "auto" else detect.best(row for row in first if isinstance(row, Row))
    return Source(name, chosen.name, records(chosen, chain(first, rows)))


def records(format: detect.Format, rows: Rows) -> Iterator[Record | Refusal]:
    for row in rows:
        if isinstance(row, Refusal):
            yield row
            continue
        try:
            yield from format.read(row)
        except Fault as fault:
            yield refuse(row, fault)


def printable(path: str | Path) -> str:
    """A path as text that can be written as UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")
