"""Long conversations, cut into pieces between rounds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.records import Conversation, Message
from tunesmith.text.tokenizer import load_tokenizer

PIECE = "piece"  # the tag that numbers the pieces of a conversation
Round = tuple[Message, ...]
Measure = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class SplitLong(RowStep):
    """Cut long conversations before a question, so that no piece exceeds a length and no turn is lost.

    limit        the most that a piece may have: characters, or tokens where a tokenizer is given
    tokenizer    folder, file or hub id of the tokenizer that counts
    turn         what each turn costs besides its words, for the marks around it (Vicuna counts 6 tokens)
    too_long     what happens to a single question with its answer that is longer: keep, reject

    The system turns before the first question begin every piece. Every turn is in exactly one piece, the last ones too.
    """

    limit: int = 8000
    tokenizer: str = ""
    turn: int = 0
    too_long: Literal["keep", "reject"] = "keep"

    REASONS: ClassVar = ("one round too long",)
    EXAMPLE: ClassVar = "split_long: {limit: 2048, tokenizer: base-model, turn: 6}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        return self.ready()(conversation)

    def ready(self) -> Callable[[Conversation], Iterator[Outcome]]:
        measure = self.measure()
        return lambda conversation: self.split(conversation, measure)

    def measure(self) -> Measure:
        if not self.tokenizer:
            return len
        encode = load_tokenizer(self.tokenizer).backend_tokenizer.encode
        return lambda text: len(encode(text, add_special_tokens=False).ids)

    def split(self, conversation: Conversation, measure: Measure) -> Iterator[Outcome]:
        opening, rounds = parted(conversation.messages)
        cost = [sum(self.turn + size(message, measure) for message in turns) for turns in rounds]
        room = self.limit - sum(self.turn + size(message, measure) for message in opening)
        pieces = packed(cost, room)
        for number, piece in enumerate(pieces, 1):
            if self.too_long == "reject" and len(piece) == 1 and cost[piece[0]] > room:
                yield Reject("one round too long", f"{cost[piece[0]]} > {room}")
            elif len(pieces) == 1:
                yield conversation
            else:
                messages = (*opening, *(message for index in piece for message in rounds[index]))
                tags = (*conversation.tags, (PIECE, f"{number}/{len(pieces)}"))
                yield replace(conversation, messages=messages, tags=tags)


def parted(messages: tuple[Message, ...]) -> tuple[Round, list[Round]]:
    """The system turns at the start, and the rounds: a question with all that follows it up to the next."""
    first = next((place for place, message in enumerate(messages) if message.role != "system"), len(messages))
    starts = [place for place, message in enumerate(messages) if message.role == "user" and place > first]
    ends = [*starts, len(messages)]
    return messages[:first], [messages[start:end] for start, end in zip([first, *starts], ends, strict=True)]


def size(message: Message, measure: Measure) -> int:
    """What a turn says: its words, thoughts and calls."""
    calls = (f"{call.name}{call.arguments}" for call in message.tool_calls)
    return sum(measure(text) for text in (message.text, message.thinking, *calls) if text)


def packed(costs: list[int], limit: int) -> list[list[int]]:
    """Rounds numbered in order, as many to a piece as fit; one that fits nowhere is a piece of its own."""
    pieces: list[list[int]] = []
    room = 0
    for index, cost in enumerate(costs):
        if not pieces or cost > room:
            pieces.append([])
            room = limit
        pieces[-1].append(index)
        room -= cost
    return pieces
