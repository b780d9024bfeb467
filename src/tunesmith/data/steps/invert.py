"""A task turned round: the answer is given, and what led to it is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.draw import fraction, pick
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.tasks import instance, instruction, marked, pair, part, reasoning, reworded
from tunesmith.data.wordings import wordings
from tunesmith.data.words import tag
from tunesmith.records import Conversation, Message, text_message


@dataclass(frozen=True, slots=True)
class Invert(RowStep):
    """Give the answer and ask for the input, the question or the reasoning, as FLAN 2022 does.

    share    of the single questions with plain answers, the share that is inverted (FLAN weighs its own by 0.3)
    answer   the least characters that an answer needs to be asked back from
    keep     whether the conversation itself stays beside the inverted one
    seed     another seed draws others
    """

    share: float = 0.3
    answer: int = 20
    keep: bool = True
    seed: int = 0

    EXAMPLE: ClassVar = "invert: {share: 0.3}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        inverted = self.inverted(conversation)
        if inverted is None or self.keep:
            yield conversation
        if inverted is not None:
            yield inverted

    def inverted(self, conversation: Conversation) -> Conversation | None:
        found = pair(conversation)
        if found is None or tag(conversation, "wording") or len(found[1].text) < self.answer:
            return None
        drawn = ("invert", str(self.seed), instance(conversation))
        if fraction("share", *drawn) >= self.share:
            return None
        fields = pieces(*found)
        every = enumerate(wordings(found[0].text).inverted)
        fitting = [(form, way) for form, way in every if fits(way.question, way.answer, fields)]
        form, way = pick(fitting, *drawn)
        asked, said = way.question.format(**fields), fields[way.answer]
        turned = marked(conversation, ("wording", f"inverted/{form}"))
        return reworded(turned, text_message("user", asked), text_message("assistant", said))


def pieces(question: Message, answer: Message) -> dict[str, str]:
    """What the wordings may speak of; empty where the conversation does not have it apart."""
    told, given = instruction(question), part(question, "input")
    rationale, final = reasoning(answer) or ("", answer.text)
    return {
        "instruction": told if given else "",
        "input": given if told else "",
        "question": "" if given and told else question.text,
        "rationale": rationale,
        "answer": final,
    }


def fits(asked: str, said: str, fields: dict[str, str]) -> bool:
    """Whether a wording asks for a piece that is there, speaks of no piece that is not, and of the reasoning if any."""
    spoken = {name for name in fields if f"{{{name}}}" in asked} | {said}
    return all(fields[name] for name in spoken) and ("rationale" in spoken) == bool(fields["rationale"])
