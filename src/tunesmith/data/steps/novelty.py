"""Instructions, or answers, that say nothing new."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from tunesmith.data.compared import check, compared, instruction
from tunesmith.data.rouge import Rouge, tokens
from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import ChunkedArray, RecordBatch


@dataclass(frozen=True, slots=True)
class Novelty(SetStep):
    """Let go of conversations whose instruction is close, by ROUGE-L, to an earlier one that is kept (Self-Instruct).

    threshold     an F1 above it is too close
    seeds         a file of conversations that count as kept before all
    of            what is compared: instruction, or answer (all that the assistant says)

    Decides as a loop over the package rouge_score does, but that Chinese characters and kana count as words of their
    own: rouge_score drops them, and finds no two Chinese instructions close. Texts without words are kept.
    """

    threshold: float = 0.7
    seeds: str = ""
    of: Literal["instruction", "answer"] = "instruction"

    REASONS: ClassVar = ("instruction close to an earlier one", "answer close to an earlier one")
    EXAMPLE: ClassVar = "novelty: {threshold: 0.7, seeds: seed_tasks.jsonl}"

    def __post_init__(self) -> None:
        check("novelty.threshold", self.threshold)

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        """The words of what is compared of each, a space between them."""
        from pyarrow import lib as pyarrow

        said = partial(compared, of="answer") if self.of == "answer" else instruction
        words = [" ".join(tokens(said(conversation))) for conversation in conversations]
        return pyarrow.record_batch({"words": pyarrow.array(words, pyarrow.large_string())})

    def decide(self, rows: Rows) -> Decision:
        import numpy
        from pyarrow import lib as pyarrow

        seeds = seeded(self.seeds) if self.seeds else []
        column = rows.sketches["words"]
        if seeds:
            column = pyarrow.chunked_array([self.sketch(seeds)["words"], *column.chunks])
        copies = numpy.ones(len(column) - len(seeds), numpy.uint32)
        rejects = {}
        for row, earlier, close in self.matches(column, len(seeds)):
            place = str(seeds[earlier].origin) if earlier < len(seeds) else rows.id(earlier - len(seeds))
            copies[row - len(seeds)] = 0
            reason = self.REASONS[self.of == "answer"]
            rejects[row - len(seeds)] = Reject(reason, f"{place}, ROUGE-L {close:.3f}")
        return Decision(copies, rejects)

    def matches(self, column: "ChunkedArray", seeds: int) -> Iterator[tuple[int, int, float]]:
        """(row, an earlier kept row, their F) for each row to let go; the first `seeds` rows are kept unasked.

        Each text is judged where it first stands: one that was let go is let go again, one that was kept is repeated.
        """
        texts, rouge = numbered(column, self.threshold)
        keeper: dict[int, int] = {}  # text -> the row that it was kept for
        lost: dict[int, tuple[int, float]] = {}
        for row, text in enumerate(texts):
            if text < 0:
                continue
            if text in keeper and row >= seeds:
                yield row, keeper[text], 1.0
            elif text in lost:
                yield row, *lost[text]
            elif row >= seeds and (match := rouge.similar(text)):
                lost[text] = keeper[match[0]], match[1]
                yield row, *lost[text]
            else:
                keeper.setdefault(text, row)
                rouge.keep(text)


def numbered(column: "ChunkedArray", threshold: float) -> tuple[list[int], Rouge]:
    """For each row the number of its text, in order of appearance, -1 where it has no words; and the texts."""
    import numpy
    from pyarrow import _compute as compute  # pyarrow.compute says of none of its names that they are public

    encoded = column.combine_chunks().dictionary_encode()
    lists = compute.call_function("split_pattern", [encoded.dictionary], compute.SplitPatternOptions(" "))
    sizes = compute.call_function("list_value_length", [lists]).to_numpy().astype(numpy.int64)
    flat = lists.flatten().dictionary_encode().indices.to_numpy().astype(numpy.int64)
    texts = encoded.indices.to_numpy().astype(numpy.int64)
    empty = encoded.dictionary.index("").as_py()
    if empty >= 0:
        texts[texts == empty] = -1
    return texts.tolist(), Rouge(flat, sizes, threshold)


def seeded(path: str) -> list[Conversation]:
    """The conversations of a file of seeds."""
    from tunesmith.formats import read

    return [record for record in read([path]) if isinstance(record, Conversation)]
