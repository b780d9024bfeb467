"""Rows longer than the limit: left out, split between turns, or an error. An answer is never cut."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message, Refusal
from tunesmith.text.render import Rendered, Renderer


@dataclass(slots=True)
class Fit:
    """Passes on what fits `limit` tokens, and counts what did not.

    dropped  rows left out whole       split  rows that became several
    lost     rounds of split rows that alone are too long
    """

    renderer: Renderer
    limit: int
    policy: str = "drop"
    dropped: int = 0
    split: int = 0
    lost: int = 0

    def __call__(self, stream: Iterable[Rendered | Refusal]) -> Iterator[Rendered | Refusal]:
        for item in stream:
            if isinstance(item, Refusal) or longest(item) <= self.limit:
                yield item
            elif self.policy == "error":
                raise UserError(
                    tr(
                        "{origin}: {tokens} tokens, over the limit of {limit}",
                        origin=item.origin,
                        tokens=longest(item),
                        limit=self.limit,
                    ),
                    tr("raise tune.max_length, or set tune.overlong=drop or split"),
                )
            elif self.policy == "split":
                yield from self._split(item.conversation)
            else:
                self.dropped += 1

    def _split(self, conversation: Conversation) -> Iterator[Rendered]:
        """Windows of whole rounds, each as long as fits, the system text before each."""
        system, rounds = rounds_of(conversation)
        made: list[Rendered] = []
        start = 0
        while start < len(rounds):
            window, end = None, start
            while end < len(rounds):
                wider = self._window(conversation, system, rounds[start : end + 1])
                if wider is None:
                    break
                window, end = wider, end + 1
            if window is None:
                self.lost += 1
                end = start + 1
            else:
                made.append(window)
            start = end
        self.split += bool(made)
        self.dropped += not made
        yield from made

    def _window(
        self, whole: Conversation, system: tuple[Message, ...], rounds: list[tuple[Message, ...]]
    ) -> Rendered | None:
        messages = (*system, *(message for turns in rounds for message in turns))
        (rendered,) = self.renderer.render([replace(whole, messages=messages)])
        return rendered if isinstance(rendered, Rendered) and longest(rendered) <= self.limit else None


def longest(rendered: Rendered) -> int:
    """Tokens of the longest example; of an encoder–decoder's, those of its longer side."""
    return max(example.longest for example in rendered.examples)


def rounds_of(conversation: Conversation) -> tuple[tuple[Message, ...], list[tuple[Message, ...]]]:
    """The system messages at the start, and the rounds: each begins with the user."""
    system: list[Message] = []
    rounds: list[list[Message]] = []
    for message in conversation.messages:
        if message.role == "user" or (not rounds and message.role != "system"):
            rounds.append([message])
        elif rounds:
            rounds[-1].append(message)
        else:
            system.append(message)
    return tuple(system), [tuple(turns) for turns in rounds]
