"""The same instruction in other words around it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.draw import fraction, pick
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.tasks import instance, instruction, marked, pair, part, reworded
from tunesmith.data.wordings import wordings
from tunesmith.data.words import tag
from tunesmith.records import Conversation, text_message


@dataclass(frozen=True, slots=True)
class VaryTemplate(RowStep):
    """Put instruction and input in one of several wordings, as FLAN and OPT-IML vary theirs.

    share    of the single questions with plain answers; conversations of several turns stay as they are
    seed     another seed draws others

    Put it after few_shot, invert and chain_of_thought: what they have worded stays.
    """

    share: float = 1.0
    seed: int = 0

    EXAMPLE: ClassVar = "vary_template: {share: 0.5}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        yield self.varied(conversation)

    def varied(self, conversation: Conversation) -> Conversation:
        found = pair(conversation)
        drawn = ("vary_template", str(self.seed), instance(conversation))
        if found is None or tag(conversation, "wording") or fraction("share", *drawn) >= self.share:
            return conversation
        question, answer = found
        told, given = instruction(question), part(question, "input")
        known = wordings(question.text)
        kind, forms = ("given", known.given) if given and told else ("alone", known.alone)
        form = pick(range(len(forms)), *drawn)
        words = forms[form].format(instruction=told or given, input=given)
        return reworded(marked(conversation, ("wording", f"{kind}/{form}")), text_message("user", words), answer)
