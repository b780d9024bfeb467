"""Almost the same words again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.buckets import Buckets
from tunesmith.data.compared import Of, check, compared, media
from tunesmith.data.grams import Grams
from tunesmith.data.minhash import BANDS, bands
from tunesmith.data.shingles import shingles
from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch

    from tunesmith.data.buckets import Pairs

BLOCK = 256  # rows that are decided together
PART = 512  # texts hashed at once: more would not fit a processor's cache


@dataclass(frozen=True, slots=True)
class NearDuplicates(SetStep):
    """Let go of conversations that share most of their n-grams of words with an earlier one that is kept.

    threshold     the least Jaccard similarity of the sets of n-grams that makes a duplicate
    words         words in an n-gram; a Chinese character counts as a word
    of            what is compared: whole (all turns), question (the first) or answer (all of the assistant's)
    """

    threshold: float = 0.7
    words: int = 5
    of: Of = "whole"

    REASONS: ClassVar = ("near duplicate of an earlier row",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "near_duplicates: {threshold: 0.7, words: 5}"

    def __post_init__(self) -> None:
        check("near_duplicates.threshold", self.threshold)

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        import numpy
        from pyarrow import lib as pyarrow

        parts = (conversations[start : start + PART] for start in range(0, max(1, len(conversations)), PART))
        made = numpy.concatenate([bands(*shingles(*self.texts(part)), self.threshold) for part in parts])
        column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(made.ravel()), BANDS)
        return pyarrow.record_batch({"bands": column})

    def decide(self, rows: Rows) -> Decision:
        """Rows in order; each is verified on its text against the kept ones that share a band with it."""
        import numpy

        chunks = rows.sketches["bands"].chunks
        buckets = Buckets(numpy.concatenate([chunk.flatten().to_numpy() for chunk in chunks]).reshape(-1, BANDS))
        copies = numpy.ones(len(buckets.bucket), numpy.uint32)
        rejects = {}
        for row, earlier, similarity in self.matches(buckets, rows):
            copies[row] = 0
            rejects[row] = Reject(self.REASONS[0], f"{rows.id(earlier)}, Jaccard {similarity:.3f}")
        return Decision(copies, rejects)

    def matches(self, buckets: Buckets, rows: Rows) -> Iterator[tuple[int, int, float]]:
        """(row, an earlier kept row, their Jaccard similarity) for each row to let go."""
        import numpy

        grams = Grams(lambda some: shingles(*self.texts(rows.fetch(some))))
        for start in range(0, len(buckets.texts), BLOCK):
            texts = buckets.texts[start : start + BLOCK]
            candidates = buckets.candidates(texts)
            grams.learn([*texts.tolist(), *candidates[1].tolist()])
            matched = self.matched(candidates, grams)
            left = numpy.setdiff1d(texts, list(matched), assume_unique=True)
            matched |= self.matched(buckets.among(left), grams)
            buckets.keep(numpy.setdiff1d(left, list(matched), assume_unique=True))
            yield from ((row, *matched[row]) for row in sorted(matched))

    def matched(self, pairs: "Pairs", grams: Grams) -> dict[int, tuple[int, float]]:
        """Of each row the first partner that is similar enough and is not matched itself, and how similar."""
        similarities = grams.similarities(pairs)
        close = similarities >= self.threshold
        found: dict[int, tuple[int, float]] = {}
        for row, earlier, similarity in zip(*pairs[:, close].tolist(), similarities[close].tolist(), strict=True):
            if row not in found and earlier not in found:
                found[row] = earlier, similarity
        return found

    def texts(self, conversations: Sequence[Conversation]) -> tuple[list[str], int, list[str]]:
        """Arguments of `shingles`: the same words with other pictures are nothing alike."""
        texts = [compared(conversation, self.of) for conversation in conversations]
        return texts, self.words, [media(conversation, self.of) for conversation in conversations]
