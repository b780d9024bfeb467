"""Preparation from end to end: read, pass after pass, write; what a killed run has done, the next one keeps.

The work lies in a hidden folder beside the result, and is used again only where all that it depends on is the same:
the content of the sources, the steps with their options, the program. It becomes the result when all is there.
"""

import errno
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tunesmith.artifact import hash_path, sync_tree, versions, whole_file, write_json, write_text
from tunesmith.data import inputs, reading
from tunesmith.data.engines import Engine
from tunesmith.data.entries import ROWS, Chosen, Entries, batch, open_entries, read_table, write_chosen, write_table
from tunesmith.data.key import key, program_hash
from tunesmith.data.page import page
from tunesmith.data.passing import Job, Places, Tally, Worker, rejects_batch, rejects_schema
from tunesmith.data.plan import Plan, name_of, passes
from tunesmith.data.prepared import DATA, PAGE, REJECTS, REPORT, Finish, Finisher, Prepared, save_manifest, tokenizer_of
from tunesmith.data.promptsource import read_templates
from tunesmith.data.report import told
from tunesmith.data.step import Decision, RowStep, SetStep
from tunesmith.errors import UserError
from tunesmith.messages import language, tr
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import Table

COMPLETE = "complete.json"
CHOSEN = "chosen.arrow"
KEY = "key.json"


class Watch(Protocol):
    """Who looks on."""

    def begin(self, name: str, total: int) -> None:
        """A part of the work begins; 0 where its length is not known."""

    def advance(self, rows: int, done: int) -> None:
        """So many rows came out, and so much of the length is done."""

    def say(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Sight:
    """All rows of a pass, as a SetStep sees them."""

    entries: Entries
    sketches: "Table"

    def id(self, row: int) -> str:
        return self.entries.id(row)

    def fetch(self, rows: Sequence[int]) -> list[Conversation]:
        return self.entries.fetch(rows)


def prepare(plan: Plan, out: Path, engine: Engine, tokenizer: str, watch: Watch) -> dict[str, Any]:
    """Make the folder `out` from the plan; returns its report.

    Raises UserError where `out` holds something, a step lacks something, no row is left, or the disk is full.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(tr("{path} already exists", path=out), tr("choose another --out, or remove it first"))
    refuse_unready(plan, tokenizer)
    taken = inputs.take(tuple(source.path for source in plan.sources))
    folder = out.parent / f".{out.name}.partial"
    with room_on_disk(folder):
        begin(folder, ingredients(plan, taken, tokenizer), watch)
        counts = [*read_sources(plan, folder / "0", watch)]
        taken.refuse_touched()
        chosen = everything(folder / "0")
        for number, (steps, closing) in enumerate(passes(plan.steps), start=1):
            job = Job(number, chosen, ROWS, Places(folder / str(number)), steps, closing)
            counts += run_pass(job, engine, watch)
            remove(chosen.before)
            chosen = next_chosen(job)
        result = folder / "result"
        finish(Finish(chosen, ROWS, result / DATA, tokenizer), engine, watch)
        write_rejects(folder, len(passes(plan.steps)), result / REJECTS)
        report = conclude(plan, taken.hashes, counts, result)
        if out.exists():
            out.rmdir()
        sync_tree(result)
        result.rename(out)
    shutil.rmtree(folder)
    return report


def refuse_unready(plan: Plan, tokenizer: str) -> None:
    """Whatever a step lacks, and a tokenizer that cannot be loaded, is told before the first row is read."""
    tokenizer_of(tokenizer)
    for source in plan.sources:
        if source.templates:
            list(read_templates(Path(source.templates)))
    for step in plan.steps:
        if isinstance(step, RowStep):
            step.ready()


@contextmanager
def room_on_disk(folder: Path) -> Iterator[None]:
    """A full disk is told; what is done is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            tr("no space is left on the disk of {path}", path=folder.parent),
            tr("make room and run the same command again: what is done is kept in {folder}", folder=folder),
        ) from error


def ingredients(plan: Plan, taken: inputs.Inputs, tokenizer: str) -> dict[str, Any]:
    """All that the result depends on. Files that options name count with their content."""
    options = [[source.templates for source in plan.sources], *map(plan_options, plan.steps)]
    named = {text: hash_path(Path(text)) for text in paths_in(options)}
    return plan.to_json() | {
        "contents": taken.hashes,
        "named": named,
        "tokenizer": [tokenizer, hash_path(Path(tokenizer)) if Path(tokenizer).exists() else ""],
        "language": language(),
        "program": program_hash(),
        "versions": versions(),
        "rows": ROWS,
    }


def plan_options(step: Any) -> list[Any]:
    return [getattr(step, name) for name in step.__dataclass_fields__]


def paths_in(value: Any) -> Iterator[str]:
    """Every text in it that names a file or folder here."""
    if isinstance(value, str):
        if value and Path(value).exists():
            yield value
    elif isinstance(value, dict):
        yield from paths_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from paths_in(item)


def begin(folder: Path, parts: dict[str, Any], watch: Watch) -> None:
    """Make the folder of work ready: go on in one of the same key, begin anew in any other."""
    name = key(parts)
    known = folder / KEY
    if folder.exists():
        if known.exists() and json.loads(known.read_text(encoding="utf-8")).get("key") == name:
            watch.say(tr("going on with what an earlier run did in {folder}", folder=folder))
            return
        watch.say(tr("{folder} was made from other data, steps or program: it is begun anew", folder=folder))
        shutil.rmtree(folder)
    write_json(known, {"key": name} | parts)


def read_sources(plan: Plan, folder: Path, watch: Watch) -> Iterator[dict[str, Any]]:
    """Read what is not read yet; yields the counts of every file of rows."""
    places, complete = Places(folder), folder / COMPLETE
    if complete.exists():
        yield from counts_of(folder)
        return
    watch.begin(tr("reading"), 0)
    number = 0
    for number, shard in enumerate(reading.shards(plan.sources), start=1):
        if not places.done(number - 1).exists():
            write_shard(places, number - 1, shard)
        watch.advance(len(shard.entries), 1)
    if not number:
        raise nothing_left(tr("the sources hold no rows"))
    write_json(complete, {"files": number})
    yield from counts_of(folder)


def write_shard(places: Places, number: int, shard: reading.Shard) -> None:
    names = [*(entry.id for entry in shard.entries), *(reject.id for reject in shard.rejects)]
    read = Counter(map(source_of, names))
    reasons = Counter(one.reason for one in shard.rejects)
    tally = Tally("read", "000", read.total(), len(shard.entries), 0, reasons)
    write_table(places.rows(number), batch(shard.entries))
    write_table(places.rejects(number), rejects_batch(shard.rejects))
    write_json(places.done(number), {"rows": len(shard.entries), "steps": [tally.to_json()], "sources": dict(read)})


def source_of(name: str) -> str:
    """ "alpaca/17" -> "alpaca"."""
    return name.rpartition("/")[0]


def counts_of(folder: Path) -> Iterator[dict[str, Any]]:
    """What was counted for each file of a pass, in order, and for its decision."""
    for path in sorted(folder.glob("[0-9]*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))
    decided = folder / "decision" / COMPLETE
    if decided.exists():
        yield json.loads(decided.read_text(encoding="utf-8"))


def run_pass(job: Job, engine: Engine, watch: Watch) -> Iterator[dict[str, Any]]:
    """Do the files that are not done yet, then decide; yields all counts."""
    places = job.places
    total = -(-job.chosen.count // job.size)
    left = [number for number in range(total) if not places.done(number).exists()]
    named = [name_of(step) for step in (*job.steps, *([job.closing] if job.closing else ()))]
    if left and (not (places.folder / COMPLETE).exists()):
        watch.begin(", ".join(named) or tr("copying"), total)
        watch.advance(0, total - len(left))
        for rows in engine(Worker, job, left):
            watch.advance(rows, 1)
    write_json(places.folder / COMPLETE, {"files": total})
    if job.closing and not (places.folder / "decision" / COMPLETE).exists():
        watch.begin(tr("{name}: deciding", name=name_of(job.closing)), 0)
        decide(job.closing, job, total)
    yield from counts_of(places.folder)


def decide(step: SetStep, job: Job, total: int) -> None:
    """Ask the step what becomes of all rows; write which go on, in which order, and why the others do not."""
    import pyarrow

    places = job.places
    entries = open_entries([places.rows(number) for number in range(total)])
    sketched = [places.sketch(number) for number in range(total) if places.sketch(number).exists()]
    if not sketched:
        raise nothing_left(tr("no row is left"))
    sketches = pyarrow.concat_tables([read_table(path) for path in sketched])
    decision = step.decide(Sight(entries, sketches))
    folder = places.folder / "decision"
    chosen = write_chosen(folder / CHOSEN, decision)
    let_go = (decision.copies == 0).nonzero()[0].tolist()
    completed = 0 if decision.company is None else int((decision.company[chosen] >= 0).any(axis=1).sum())
    reasons = Counter(decision.rejects[row].reason for row in let_go)
    write_decided(folder / "rejects.arrow", name_of(step), entries, decision, let_go)
    tally = Tally(name_of(step), f"{job.number:03}.last", entries.count, len(chosen), completed, reasons)
    write_json(folder / COMPLETE, {"rows": len(chosen), "steps": [tally.to_json()]})


def write_decided(path: Path, name: str, entries: Entries, decision: Decision, let_go: Sequence[int]) -> None:
    """The rows that a decision lets go, a few at a time in memory."""
    import pyarrow

    with whole_file(path) as handle, pyarrow.ipc.new_file(handle, rejects_schema()) as writer:
        for start in range(0, len(let_go), ROWS):
            some = let_go[start : start + ROWS]
            origins = (entries.fetch([row])[0].origin for row in some)
            writer.write(
                rejects_batch(
                    [
                        reading.Let(name, reject.reason, reject.detail, entries.id(row), origin, entries.record(row))
                        for row, origin in zip(some, origins, strict=True)
                        for reject in [decision.rejects[row]]
                    ]
                )
            )


def rows_of(folder: Path) -> tuple[Path, ...]:
    """The files of rows that a pass left."""
    places = Places(folder)
    total = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))["files"]
    return tuple(places.rows(number) for number in range(total))


def everything(folder: Path) -> Chosen:
    """All rows of a pass go on as they are."""
    import numpy

    path = folder / CHOSEN
    if not path.exists():
        count = sum(json.loads(done.read_text(encoding="utf-8"))["rows"] for done in folder.glob("[0-9]*.json"))
        if not count:
            raise nothing_left(tr("no row is left"))
        write_chosen(path, Decision(numpy.ones(count, numpy.uint32)))
    return Chosen(rows_of(folder), path)


def next_chosen(job: Job) -> Chosen:
    """Which rows of a pass go on."""
    if job.closing is None:
        return everything(job.places.folder)
    chosen = Chosen(rows_of(job.places.folder), job.places.folder / "decision" / CHOSEN, job.closing)
    if not chosen.count:
        raise nothing_left(tr("no row is left after {name}", name=name_of(job.closing)))
    return chosen


def nothing_left(message: str) -> UserError:
    return UserError(message, tr("loosen the steps; rejects in the work folder tell why each row was let go"))


def remove(files: Sequence[Path]) -> None:
    """Rows that the next pass has taken over."""
    for file in files:
        file.unlink(missing_ok=True)


def finish(job: Finish, engine: Engine, watch: Watch) -> None:
    """Write the rows as Parquet."""
    total = -(-job.chosen.count // job.size)
    left = [number for number in range(total) if not (job.folder / f"{number:05d}.parquet").exists()]
    watch.begin(tr("writing"), total)
    watch.advance(0, total - len(left))
    for rows in engine(Finisher, job, left):
        watch.advance(rows, 1)


def write_rejects(folder: Path, last: int, path: Path) -> None:
    """Every row that any step let go, in the order of the steps' passes."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    with whole_file(path) as handle, ParquetWriter(handle, rejects_schema(), compression="zstd") as writer:
        for number in range(last + 1):
            here = folder / str(number)
            for file in [*sorted(here.glob("*.rejects.arrow")), *here.glob("decision/rejects.arrow")]:
                for part in pyarrow.ipc.open_file(pyarrow.memory_map(str(file))).read_all().to_batches():
                    writer.write_batch(part)


def conclude(plan: Plan, hashes: dict[str, str], counts: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Add up what was counted, look at what was made, and write report and manifest."""
    steps = added_up([step for one in counts for step in one["steps"]])
    read: Counter[str] = Counter()
    for one in counts:
        read.update(one.get("sources", {}))
    result = Prepared(folder, {})
    report = told(result, steps, read)
    write_json(folder / REPORT, report)
    write_text(folder / PAGE, page(report))
    sources = [
        source | {"sha256": hashes[source["path"]], "read": read[source["name"]]}
        for source in plan.to_json()["sources"]
    ]
    save_manifest(
        folder,
        {
            "sources": sources,
            "steps": plan.to_json()["steps"],
            "rows": report["rows"],
            "counts": steps,
            "files": {file.name: hash_path(file) for file in result.files},
            "versions": versions(),
        },
    )
    return report


def added_up(tallies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One tally a step, in the order of the recipe."""
    found: dict[str, dict[str, Any]] = {}
    for tally in sorted(tallies, key=lambda tally: str(tally["place"])):
        empty = {"step": tally["step"], "in": 0, "out": 0, "changed": 0, "apart": 0, "reasons": {}}
        sums = found.setdefault(tally["place"], empty)
        for name in ("in", "out", "changed", "apart"):
            sums[name] += tally[name]
        for reason, count in tally["reasons"].items():
            sums["reasons"][reason] = sums["reasons"].get(reason, 0) + count
    return list(found.values())
