"""Whole tasks, categories or instances set aside, so that a test asks for what was never trained on."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from tunesmith.data.draw import fraction
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.tasks import instance, marked, task
from tunesmith.data.words import tag
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation

BY = ("category", "task", "instance")
KEEP = ("train", "test", "both")


@dataclass(frozen=True, slots=True)
class HeldOut(RowStep):
    """Hold out whole tasks, whole categories of tasks, or instances, for a test.

    by       what goes whole to one side: category, task or instance (the three levels of OPT-IML)
    share    of those, the share held out, drawn by name; a name is on the same side in every data set
    names    categories or tasks held out by name, besides the share
    keep     the side that stays: train, test, or both, each row tagged split=train or split=test
    seed     another seed draws others

    Put it before few_shot, so that no example comes from the other side.
    """

    by: Literal["category", "task", "instance"] = "task"
    share: float = 0.1
    names: tuple[str, ...] = ()
    keep: Literal["train", "test", "both"] = "train"
    seed: int = 0

    REASONS: ClassVar = ("held out", "not held out", "of no known category")
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "held_out: {by: category, share: 0.1}"

    def __post_init__(self) -> None:
        for name, value, allowed in (("by", self.by, BY), ("keep", self.keep, KEEP)):
            if value not in allowed:
                message = tr("held_out: {name} is {value!r}", name=name, value=value)
                raise UserError(message, tr("use one of {names}", names=", ".join(allowed)))
        if not 0 <= self.share <= 1:
            raise UserError(
                tr("held_out: {name} is {value!r}", name="share", value=self.share), tr("use a number from 0 to 1")
            )

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        name = self.name(conversation)
        side = "test" if self.tests(name) else "train"
        if not name:
            yield Reject("of no known category", str(conversation.origin))
        elif self.keep == "both":
            others = tuple(tag for tag in conversation.tags if tag[0] != "split")
            yield marked(replace(conversation, tags=others), ("split", side))
        elif self.keep == side:
            yield conversation
        else:
            yield Reject("held out" if side == "test" else "not held out", name)

    def name(self, conversation: Conversation) -> str:
        if self.by == "instance":
            return instance(conversation)
        return task(conversation) if self.by == "task" else tag(conversation, "category")

    def tests(self, name: str) -> bool:
        return name in self.names or fraction("held_out", str(self.seed), self.by, name) < self.share
