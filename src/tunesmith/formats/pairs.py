"""From two whole conversations to what they share and how each goes on."""

from collections.abc import Sequence

from tunesmith.formats.row import Fault
from tunesmith.messages import tr
from tunesmith.records import Message

Turns = tuple[Message, ...]


def compared(chosen: Sequence[Message], rejected: Sequence[Message]) -> tuple[Turns, Turns, Turns]:
    """(prompt, chosen, rejected): the prompt is the longest common start that ends before an answer."""
    shared = 0
    for better, worse in zip(chosen, rejected, strict=False):
        if better != worse:
            break
        shared += 1
    if shared == len(chosen) == len(rejected):
        raise Fault("rejected", tr("is the same as chosen"), tr("remove the pair: it teaches nothing"))
    while shared and chosen[shared - 1].role not in ("user", "tool"):
        shared -= 1
    if not shared:
        raise Fault("rejected", tr("answers another question than chosen"), tr("give both answers to one prompt"))
    return tuple(chosen[:shared]), continued(chosen, shared, "chosen"), continued(rejected, shared, "rejected")


def continued(messages: Sequence[Message], shared: int, field: str) -> Turns:
    """What follows the prompt, which must be an answer."""
    if len(messages) <= shared or messages[shared].role != "assistant":
        raise Fault(field, tr("does not go on with an answer"), tr("give both answers to one prompt"))
    return tuple(messages[shared:])
