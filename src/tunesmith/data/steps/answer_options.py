"""The same choice, offered in another order and under other marks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from tunesmith.data.draw import drawn, fraction, pick
from tunesmith.data.options import MARKS, Offered, offered, set_out
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.tasks import instance, marked, pair, part, reasoning, reworded
from tunesmith.data.wordings import wordings
from tunesmith.data.words import tag
from tunesmith.records import Conversation, Message, Part

REFERS = re.compile(r"\(?\b[A-Ea-e]\)|\b(?:option|choice|answer|is)s?:? \(?[A-E1-5]\b|选项|选 ?[A-E]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AnswerOptions(RowStep):
    """Set the options of a question out anew, as FLAN 2022 does: drawn order, bullets, letters, numbers and heading.

    share      of the questions with options, the share that is set out anew
    without    of those, the share that loses its options and is answered in words (FLAN 2022: half)
    labels     of those whose options get letters or numbers, the share answered by these alone: (B)
    shuffle    put the options into a drawn order, unless one speaks of the others ("all of the above")
    seed       another seed draws others

    Options are what stands marked, a line each, under a line such as "Options:"; rows whose answer is none of them, or
    whose reasoning speaks of an option by its letter, stay as they are. Put it before chain_of_thought and few_shot.
    """

    share: float = 1.0
    without: float = 0.0
    labels: float = 0.5
    shuffle: bool = True
    seed: int = 0

    EXAMPLE: ClassVar = "answer_options: {without: 0.5}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        yield self.varied(conversation)

    def varied(self, conversation: Conversation) -> Conversation:
        words = ("answer_options", str(self.seed), instance(conversation))
        found = pair(conversation)
        if found is None or tag(conversation, "wording") or fraction("share", *words) >= self.share:
            return conversation
        question, reply = found
        rationale, answer = reasoning(reply) or ("", reply.text)
        place, options = next(
            ((n, seen) for n, one in enumerate(question.parts) if (seen := offered(one.text))), (0, None)
        )
        right = options.place(answer) if options else None
        if options is None or right is None or REFERS.search(rationale):
            return conversation
        text, said, style = self.worded(options, right, words)
        before, changed, after = (
            question.parts[:place],
            replace(question.parts[place], text=text),
            question.parts[place + 1 :],
        )
        asked = replace(question, parts=(*before, changed, *after))
        return reworded(marked(conversation, ("options", style)), asked, answered(reply, answer, said))

    def worded(self, options: Offered, right: int, words: tuple[str, ...]) -> tuple[str, str, str]:
        """(the question, its answer, what was drawn)"""
        if fraction("without", *words) < self.without and not options.linked:
            return "\n".join(filter(None, (options.before, options.after))), options.texts[right], "none"
        order = list(range(len(options.texts)))
        if self.shuffle and not options.linked:
            order.sort(key=lambda place: drawn("order", str(place), *words))
        marks = pick(MARKS, "marks", *words)
        start = pick(wordings(options.before).choices, "start", *words)
        shown = set_out(start, marks, [options.texts[place] for place in order])
        label = marks.label(order.index(right))
        by_label = label and fraction("labels", *words) < self.labels
        style = f"{marks.before}{marks.first}{marks.after}"
        text = "\n".join(filter(None, (options.before, shown, options.after)))
        return text, label if by_label else options.texts[right], style


def answered(reply: Message, answer: str, said: str) -> Message:
    """The reply with the final answer in other words; the reasoning before it stays."""
    if part(reply, "answer"):
        parts = tuple(replace(one, text=said) if one.name == "answer" else one for one in reply.parts)
        return replace(reply, parts=parts)
    text = reply.text.rstrip()
    return replace(reply, parts=(Part(text=text[: len(text) - len(answer.rstrip())] + said),))
