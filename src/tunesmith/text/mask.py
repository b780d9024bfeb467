"""Which answers carry loss. A mask is a function (turn, conversation) → weight of the turn's own words."""

from collections.abc import Callable

from tunesmith.records import Conversation

Mask = Callable[[int, Conversation], float]


def answers(turn: int, conversation: Conversation) -> float:
    """Learn every answer that the data does not exclude."""
    return float(conversation.messages[turn].learn)


def last_answer(turn: int, conversation: Conversation) -> float:
    """Learn the final answer only."""
    return float(turn == len(conversation.messages) - 1 and conversation.messages[turn].learn)


MASKS: dict[str, Mask] = {"answers": answers, "last_answer": last_answer}
