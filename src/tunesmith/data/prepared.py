"""A folder of prepared data: Parquet files that any tool can read, with where each row came from.

data/00000.parquet …  rows: see COLUMNS
rejects.parquet       every row that was let go: step, reason, detail, id, file, line, record, raw
manifest.json         sources with hashes, steps with options, counts, versions
report.json           the same counts and what the rows are like; report.html shows them
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.artifact import MANIFEST, whole_file, write_json
from tunesmith.data.entries import Chosen, Entry
from tunesmith.data.kinds import restored
from tunesmith.data.verbs import verb_noun
from tunesmith.data.words import SOURCE, asked, said, tag
from tunesmith.errors import UserError
from tunesmith.formats.inspect import SAMPLE, language
from tunesmith.formats.prepared import write
from tunesmith.messages import tr
from tunesmith.text.pieces import count_tokens, learn_seams

if TYPE_CHECKING:
    from pyarrow.lib import Schema
    from tokenizers import Tokenizer

KIND = "prepared data"
DATA = "data"
REJECTS = "rejects.parquet"
REPORT = "report.json"
PAGE = "report.html"
CHUNK = 1024  # rows written at once


@cache
def schema() -> "Schema":
    """
    messages    the conversation; of a comparison the prompt, which `chosen` and `rejected` go on; empty beside a `text`
    label       whether a conversation was found good, where it was rated
    content     all text parts of a message in one; parts has them apart, as JSON, where there is more to tell
    tools, tags JSON
    file, line, record  where the row was read; id finds it in rejects and reports
    tokens      of all that is said, without the template
    verb, noun  what the question asks for, where it can be told
    """
    import pyarrow

    text, number = pyarrow.string(), pyarrow.int64()
    words = ("role", "content", "thinking", "parts", "tool_calls", "name", "call_id")
    message = pyarrow.struct([*((word, text) for word in words), ("learn", pyarrow.bool_())])
    described = ("source", "licence", "generator", "language", "verb", "noun", "tools", "tags", "file")
    return pyarrow.schema(
        [
            ("id", text),
            *((side, pyarrow.list_(message)) for side in ("messages", "chosen", "rejected")),
            ("label", pyarrow.bool_()),
            ("text", text),
            *((name, text) for name in described),
            *((name, number) for name in ("line", "record", "turns", "characters", "tokens")),
        ]
    )


@dataclass(frozen=True, slots=True)
class Finish:
    """The last pass: rows of the pass before, `size` to a file, as Parquet into `folder`; tokens by this tokenizer."""

    chosen: Chosen
    size: int
    folder: Path
    tokenizer: str


class Finisher:
    """Does files of the last pass, in one process."""

    def __init__(self, job: Finish) -> None:
        self.job = job
        self.given = job.chosen.opened()
        self.tokenizer = tokenizer_of(job.tokenizer)
        self.seams = learn_seams(self.tokenizer)

    def __call__(self, number: int) -> int:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        count = 0
        path = self.job.folder / f"{number:05d}.parquet"
        with whole_file(path) as handle, ParquetWriter(handle, schema(), compression="zstd") as writer:
            given = self.given.rows(number * self.job.size, self.job.size)
            while some := list(islice(given, CHUNK)):
                writer.write_batch(pyarrow.RecordBatch.from_pylist(self.rows(some), schema=schema()))
                count += len(some)
        return count

    def rows(self, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        texts = [said(entry.conversation) for entry in entries]
        tokens = count_tokens(self.tokenizer, self.seams, texts)
        return [
            row(entry) | {"characters": len(text), "tokens": count}
            for entry, text, count in zip(entries, texts, tokens, strict=True)
        ]


def tokenizer_of(source: str) -> "Tokenizer":
    """What counts tokens; without transformers, which loads slowly, where the tokenizer's own library will do."""
    file = Path(source, "tokenizer.json")
    if file.exists():
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(file))
    from tunesmith.text.tokenizer import load_tokenizer

    return load_tokenizer(source).backend_tokenizer


def row(entry: Entry) -> dict[str, Any]:
    """An entry as a row of the schema, without the two lengths."""
    conversation = entry.conversation
    verb, noun = verb_noun(asked(conversation)) or (None, None)
    return write(restored(conversation)) | {
        "id": entry.id,
        SOURCE: tag(conversation, SOURCE),
        "language": language(said(conversation)[:SAMPLE]),
        "verb": verb,
        "noun": noun,
        "turns": len(conversation.messages),
    }


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder that `prepare` made."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / DATA).glob("*.parquet"))

    @property
    def report(self) -> dict[str, Any]:
        return dict(msgspec.json.decode((self.folder / REPORT).read_bytes()))

    def columns(self, names: Sequence[str], coded: Sequence[str] = ()) -> Any:
        """Those columns of all rows, as one Arrow table; of `coded` ones each different text once, and a number a row.

        Memory: 8 bytes a row for a number, 4 for a coded text.
        """
        import pyarrow
        from pyarrow.parquet import ParquetFile

        parts = []
        for path in self.files:
            with ParquetFile(path, read_dictionary=list(coded)) as file:
                parts.append(file.read(columns=list(names)))
        return pyarrow.concat_tables(parts).unify_dictionaries()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row, in order, a few at a time in memory."""
        yield from parquet_rows(self.files)

    def rejects(self) -> Iterator[dict[str, Any]]:
        """Every row that was let go."""
        yield from parquet_rows([self.folder / REJECTS])


def parquet_rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    from pyarrow.lib import ArrowException
    from pyarrow.parquet import ParquetFile

    for file in files:
        try:
            with ParquetFile(file) as table:
                for batch in table.iter_batches(batch_size=CHUNK):
                    yield from batch.to_pylist()
        except (ArrowException, OSError) as error:
            raise UserError(
                tr("{path} is broken: {error}", path=file, error=str(error).split("\n")[0]),
                tr("prepare the data again"),
            ) from error


def open_prepared(folder: Path) -> Prepared:
    """Raises UserError where the folder is no prepared data."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes())
    except (OSError, msgspec.DecodeError):
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise UserError(
            tr("{path} holds no prepared data", path=folder), tr("give a folder that tunesmith data prepare made")
        )
    return Prepared(folder, manifest)


def save_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    write_json(folder / MANIFEST, {"kind": KIND} | manifest)
