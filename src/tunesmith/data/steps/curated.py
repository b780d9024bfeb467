"""The conversations that somebody chose by hand, and no others."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.words import asked, tag
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class Curated(SetStep):
    """Keep the conversations that a list names: a thousand chosen by hand can suffice (LIMA, Zhou et al., 2023).

    A line of the list names conversations by the place where they were read (lima.jsonl:17), by their id, or by the
    sha256 of their first question; empty lines and lines that begin with # say nothing.

    file          the list, a text file
    """

    file: str

    REASONS: ClassVar = ("not on the list",)
    EXAMPLE: ClassVar = "curated: {file: chosen.txt}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        return RecordBatch.from_pydict(
            {
                "origin": [str(conversation.origin) for conversation in conversations],
                "id": [tag(conversation, "id") for conversation in conversations],
                "sha256": [question_hash(conversation) for conversation in conversations],
            }
        )

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.verdict import keep

        wanted = read_list(self.file)
        found: set[str] = set()
        kept = np.zeros(rows.sketches.num_rows, bool)
        named = (zip(*batch.to_pydict().values(), strict=True) for batch in rows.sketches.to_batches())
        for row, names in enumerate(chain.from_iterable(named)):
            hits = wanted.keys() & {*names, rows.id(row)}
            found |= hits
            kept[row] = bool(hits)
        self.refuse_lost(wanted, found)
        return keep(kept, lambda row: Reject("not on the list"))

    def refuse_lost(self, wanted: dict[str, int], found: set[str]) -> None:
        """Raise UserError for a line that names nothing: a list with a slip in it is not the choice that was made."""
        lost = [(number, name) for name, number in wanted.items() if name not in found]
        if lost:
            raise UserError(
                tr(
                    "{file}:{line}: no conversation is called {name!r}; {count} lines of the list name none",
                    file=self.file,
                    line=lost[0][0],
                    name=lost[0][1],
                    count=len(lost),
                ),
                tr("mend or remove them; earlier steps may have let their conversations go"),
            )


def question_hash(conversation: Conversation) -> str:
    return hashlib.sha256(asked(conversation).encode("utf-8", "surrogatepass")).hexdigest()


def read_list(file: str) -> dict[str, int]:
    """Name → line, from 1. Raises UserError where there is no list or nothing in it."""
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(
            tr("the list {file} cannot be read: {reason}", file=file, reason=error), tr("give a text file")
        ) from error
    names = {line.strip(): number for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    if not names:
        raise UserError(tr("the list {file} names no conversation", file=file), tr("write a name on each line"))
    return names
