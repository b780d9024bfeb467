"""Reasoning shown before the answer, or left out and not asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.draw import fraction, pick
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.tasks import instance, marked, pair, part, reworded
from tunesmith.data.wordings import wordings
from tunesmith.records import Conversation, text_message


@dataclass(frozen=True, slots=True)
class ChainOfThought(RowStep):
    """Ask for the reasoning where an answer has one, in several wordings, or for the answer alone.

    share    of the answers with a rationale, the share that shows it; the others are asked for the answer alone
    seed     another seed draws others

    Answers without a rationale stay as they are.
    """

    share: float = 1.0
    seed: int = 0

    EXAMPLE: ClassVar = "chain_of_thought: {share: 0.5}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        yield self.worded(conversation)

    def worded(self, conversation: Conversation) -> Conversation:
        found = pair(conversation)
        if found is None or not part(found[1], "rationale") or not part(found[1], "answer"):
            return conversation
        question, reasoned = found
        drawn = ("chain_of_thought", str(self.seed), instance(conversation))
        known = wordings(question.text)
        shown = fraction("share", *drawn) < self.share
        kind, forms = ("reasoned", known.reasoned) if shown else ("direct", known.direct)
        form = pick(range(len(forms)), *drawn)
        fields = {
            "question": question.text,
            "rationale": part(reasoned, "rationale"),
            "answer": part(reasoned, "answer"),
        }
        asked, said = (text.format(**fields) for text in forms[form])
        worded = marked(conversation, ("wording", f"{kind}/{form}"))
        return reworded(worded, text_message("user", asked), text_message("assistant", said))
