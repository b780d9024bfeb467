"""Steps in, words out: up to a stop string or the marks of a tool call, wherever the borders of tokens are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunesmith.chat import TextStream
from tunesmith.serve.engines.base import Step


@dataclass(slots=True)
class Words:
    """
    stops    the answer ends before the first of them
    mark     from here on the answer is kept back: it may be tool calls ("" for none)
    text     all that was said, without a stop string
    sent     characters of it that are out
    steps    (place in the text, step) that are not out
    count    tokens that came
    cut      a stop string has come
    ended    nothing more will come
    """

    stream: TextStream
    stops: Sequence[str] = ()
    mark: str = ""
    text: str = ""
    sent: int = 0
    count: int = 0
    steps: list[tuple[int, Step]] = field(default_factory=list)
    cut: bool = False
    ended: bool = False

    def push(self, step: Step) -> str:
        """The text that is now certain to belong to the answer; nothing after a stop string."""
        if self.cut:
            return ""
        before = len(self.text)
        self.steps.append((before, step))
        self.count += 1
        self.text += self.stream.push(step.token)
        reach = max(before - max(map(len, self.stops), default=1) + 1, 0)  # a stop string may have begun before
        found = [place for stop in self.stops if (place := self.text.find(stop, reach)) >= 0]
        if found:
            self.text, self.cut, self.ended = self.text[: min(found)], True, True
        return self._until(self._safe())

    def close(self) -> str:
        """What was held back as the possible beginning of a stop string."""
        self.ended = True
        return self._until(self._safe())

    def released(self) -> list[Step]:
        """Steps whose words are out; at the end, all that begin within the answer."""
        end = self.sent if not self.ended else len(self.text) + (not self.cut)
        out = [step for place, step in self.steps if place < end]
        self.steps = [(place, step) for place, step in self.steps if place >= end]
        return out

    def _safe(self) -> int:
        """How far the text can be sent."""
        limit = len(self.text)
        if self.mark and (place := self.text.find(self.mark)) >= 0:
            return place
        held = [self.mark] if self.mark else []
        held += [] if self.ended else self.stops
        return limit - max((overlap(self.text, word) for word in held), default=0)

    def _until(self, end: int) -> str:
        fresh, self.sent = self.text[self.sent : end], max(end, self.sent)
        return fresh

    @property
    def tail(self) -> str:
        """What was kept back for its mark."""
        return self.text[self.sent :]


def overlap(text: str, word: str) -> int:
    """Length of the longest end of `text` with which `word` begins, short of the whole word."""
    return next((size for size in range(min(len(text), len(word) - 1), 0, -1) if text.endswith(word[:size])), 0)
