"""Reasoning shown before the answer, or left out and not asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.draw import fraction, pick
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.tasks import instance, marked, pair, reasoning, reworded
from tunesmith.data.wordings import Reasoning, Wordings, wordings
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation, text_message


@dataclass(frozen=True, slots=True)
class ChainOfThought(RowStep):
    """Ask for the reasoning where an answer has one, in several wordings, or for the answer alone.

    share    of the answers with a rationale, the share that shows it; the others are asked for the answer alone
    form     how rationale and answer are set out, "{rationale}\\n#### {answer}" for instance; empty: in several ways,
             as FLAN 2022 has them, one of which gives the answer first
    seed     another seed draws others

    A rationale is what a format has read as one, or what stands before the last "####", as in GSM8K. Answers without
    one stay as they are.
    """

    share: float = 1.0
    form: str = ""
    seed: int = 0

    EXAMPLE: ClassVar = "chain_of_thought: {share: 0.5}"

    def __post_init__(self) -> None:
        before, _, after = self.form.partition("{rationale}")
        if self.form and ("{answer}" not in after or "{answer}" in before):
            raise UserError(
                tr("chain_of_thought.form is {form!r}", form=self.form),
                tr("write {example}", example='"{rationale}\\n#### {answer}"'),
            )

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        yield self.worded(conversation)

    def worded(self, conversation: Conversation) -> Conversation:
        found = pair(conversation)
        reasons = reasoning(found[1]) if found else None
        if found is None or reasons is None:
            return conversation
        question = found[0].text
        drawn = ("chain_of_thought", str(self.seed), instance(conversation))
        known = wordings(question)
        shown = fraction("share", *drawn) < self.share
        kind, forms = ("reasoned", self.forms(known)) if shown else ("direct", known.direct)
        form = pick(range(len(forms)), *drawn)
        fields = {"question": question, "rationale": reasons[0], "answer": reasons[1]}
        asked, said = (text.format(**fields) for text in forms[form])
        worded = marked(conversation, ("wording", f"{kind}/{form}"))
        return reworded(worded, text_message("user", asked), text_message("assistant", said))

    def forms(self, known: Wordings) -> tuple[Reasoning, ...]:
        """The ways to show reasoning; those of the user's form never ask for the answer first."""
        if not self.form:
            return known.reasoned
        before, _, rest = self.form.partition("{rationale}")
        between, _, after = rest.partition("{answer}")
        literal = (text.replace("{", "{{").replace("}", "}}") for text in (before, between, after))
        form = "{}{{rationale}}{}{{answer}}{}".format(*literal)
        asking = (one for one in known.reasoned if one.answer.index("{rationale}") < one.answer.index("{answer}"))
        return tuple(Reasoning(one.question, form) for one in asking)
