"""Worked examples of the same task before the question."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.draw import drawn, fraction, pick
from tunesmith.data.shots import own, with_shots, within
from tunesmith.data.step import Decision, Rows, SetStep
from tunesmith.data.tasks import instance, marked, pair, reworded, task
from tunesmith.data.wordings import wordings
from tunesmith.data.words import tag
from tunesmith.records import Conversation, text_message

if TYPE_CHECKING:
    from numpy import int64, uint64
    from numpy.typing import NDArray
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class FewShot(SetStep):
    """Set worked examples, drawn from other rows of the same task, before questions.

    share      of the rows, the share that gets examples (FLAN 2022: half of each task set)
    shots      the most examples
    fewest     the least; the number is drawn between the two
    own        take first the examples that the task itself gives (Natural Instructions; Tk-Instruct shows two)
    length     the most characters of the examples together; those that would go beyond it are left out
    seed       another seed draws others

    Rows that are drawn have the row's task, prompt template and split, and are never its instance. A row for which
    there are none stays as it is, as do conversations of several turns.
    """

    share: float = 0.5
    shots: int = 5
    fewest: int = 1
    own: bool = True
    length: int = 6000
    seed: int = 0

    EXAMPLE: ClassVar = "few_shot: {share: 0.5, shots: 5}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        """
        group    rows that may be examples of each other; null where the row can neither be one nor get any
        place    where the row comes in the group, drawn for its instance
        shots    how many examples it is to get
        """
        from pyarrow import lib as arrow

        fitting = [usable(conversation) for conversation in conversations]
        groups = [self.group(row) if fits else None for row, fits in zip(conversations, fitting, strict=True)]
        places = [drawn("few_shot", str(self.seed), instance(conversation)) for conversation in conversations]
        shots = [self.number(conversation) for conversation in conversations]
        arrays = [arrow.array(groups, arrow.uint64()), arrow.array(places, arrow.uint64())]
        names = ["group", "place", "shots"]
        return arrow.RecordBatch.from_arrays([*arrays, arrow.array(shots, arrow.int32())], names=names)

    def group(self, conversation: Conversation) -> int:
        return drawn(task(conversation), tag(conversation, "template"), tag(conversation, "split"))

    def number(self, conversation: Conversation) -> int:
        words = ("few_shot", str(self.seed), instance(conversation))
        if fraction("share", *words) >= self.share:
            return 0
        return pick(range(self.fewest, self.shots + 1), "number", *words)

    def decide(self, rows: Rows) -> Decision:
        """Each row gets those that follow it in its group's drawn order, the first after the last."""
        import numpy

        sketches = rows.sketches
        count = sketches.num_rows
        fitting = numpy.flatnonzero(sketches["group"].is_valid().to_numpy())
        taken = sketches.take(fitting)
        group, place = (taken[name].to_numpy() for name in ("group", "place"))
        company = numpy.full((count, self.shots), -1, numpy.int64)
        company[fitting] = neighbours(group, place, fitting, self.shots)
        company[numpy.arange(self.shots) >= sketches["shots"].to_numpy()[:, None]] = -1
        return Decision(numpy.ones(count, numpy.uint32), company=company)

    def complete(self, conversation: Conversation, company: Sequence[Conversation]) -> Conversation:
        found = pair(conversation)
        number = self.number(conversation) if usable(conversation) else 0
        if found is None or not number:
            return conversation
        question, answer = found
        given = own(conversation, question) if self.own else ()
        drawn = ((asked, answer.text) for asked, answer in filter(None, map(pair, company)))
        shown = list(within(self.length, islice(chain(given, drawn), number)))
        if not shown:
            return conversation
        layout = pick(wordings(question.text).shots, "layout", str(self.seed), instance(conversation))
        words = text_message("user", with_shots(layout, question, shown))
        worded = marked(conversation, ("shots", str(len(shown))), ("wording", "shots"))
        return reworded(worded, words, answer)


def usable(conversation: Conversation) -> bool:
    return pair(conversation) is not None and not tag(conversation, "wording")


def neighbours(
    group: "NDArray[uint64]", place: "NDArray[uint64]", rows: "NDArray[int64]", shots: int
) -> "NDArray[int64]":
    """[rows, shots]: the rows that follow each in its group by place, -1 where the group has no more.

    Rows of one place are the same instance: one stands for all, and none is beside another.
    """
    import numpy

    order = numpy.lexsort((place, group))
    sorted_group, sorted_place = group[order], place[order]
    opens = numpy.ones(len(order), bool)  # the first row of each group
    opens[1:] = sorted_group[1:] != sorted_group[:-1]
    new = opens.copy()  # the first row of each instance
    new[1:] |= sorted_place[1:] != sorted_place[:-1]
    number = numpy.cumsum(new) - 1  # of the instance
    stands = rows[order[new]]
    start = number[opens]
    size = numpy.diff(start, append=len(stands))
    of_group = numpy.cumsum(opens) - 1
    start, size = start[of_group], size[of_group]
    found = numpy.full((len(order), shots), -1, numpy.int64)
    for shot in range(shots):
        there = shot + 1 < size
        after = start + (number - start + shot + 1) % size
        found[order[there], shot] = stands[after[there]]
    return found
