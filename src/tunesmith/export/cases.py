"""What a verification asks: prompts with answers to read after them, as ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tunesmith.export.torch_subject import TorchSubject
from tunesmith.records import Conversation, Message
from tunesmith.text.render import Rendered, Renderer, Turn

SHORT = 16  # tokens; an answer up to here is one that can be right or wrong, word for word

Count = Callable[[int, int], None]  # done, in all


@dataclass(frozen=True, slots=True)
class Case:
    """The last answer of a conversation.

    messages  what stands before it    prompt  its ids
    said      ids of the answer and its end mark, or of as much as there is
    right     ids of the only right answer, without end mark; None where no answer is right or wrong
    """

    messages: tuple[Message, ...]
    prompt: tuple[int, ...]
    said: tuple[int, ...]
    right: tuple[int, ...] | None = None


def from_data(renderer: Renderer, conversations: Sequence[Conversation], longest: int) -> list[Case]:
    """A case of every conversation that the template can write and that is not over `longest` tokens."""
    stops = set(renderer.stop_ids)
    return [
        case_of(rendered.conversation, rendered.groups[-1][-1], stops)
        for rendered in renderer.render(conversations)
        if isinstance(rendered, Rendered) and length(rendered.groups[-1][-1]) <= longest
    ]


def length(turn: Turn) -> int:
    return len(turn.prompt) + len(turn.said)


def case_of(conversation: Conversation, turn: Turn, stops: set[int]) -> Case:
    words = tuple(token for token in turn.said if token not in stops)
    right = words if len(words) <= SHORT else None
    return Case(conversation.messages[: turn.number], turn.prompt, turn.said, right)


def from_prompts(
    reference: TorchSubject, prompts: Sequence[tuple[Message, ...]], most: int, count: Count | None = None
) -> Iterator[Case]:
    """The model's own answers, where there is no data to take answers from; none of them is right or wrong."""
    for done, messages in enumerate(prompts, start=1):
        prompt = reference.prompt(messages)
        answer = reference.answer(prompt, most)
        end = reference.renderer.stop_ids[:1] if len(answer) < most else ()
        yield Case(messages, tuple(prompt), (*answer, *end))
        if count:
            count(done, len(prompts))
