"""What the server asks of whatever computes the answers."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from tunesmith.chat import Sampling
from tunesmith.serve.engines.shape import Wanted


@dataclass(frozen=True, slots=True)
class Ask:
    """One answer that is wanted.

    ids       the prompt
    stop_ids  tokens that end the answer, and are no part of it
    top       how many of the likeliest tokens to report at each step; None: no log-probabilities at all
    wanted    how logits are changed before a token is drawn; None: not at all
    until     when nobody waits any more, in the time of the event loop; None: never
    """

    ids: tuple[int, ...]
    stop_ids: frozenset[int]
    sampling: Sampling
    top: int | None = None
    wanted: Wanted | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One token of an answer, and how likely the model held it (nats, before temperature) beside the likeliest."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


class Engine(Protocol):
    """A loaded model. `answer` is called from the event loop; the rest from any thread, one call at a time.

    name          how it is told
    context       longest sequence, prompt and answer together, in tokens
    shows_logits  whether logits pass through here: else no form can hold an answer, and `logits` has none to tell
    """

    @property
    def name(self) -> str: ...

    @property
    def context(self) -> int: ...

    @property
    def shows_logits(self) -> bool: ...

    def answer(self, ask: Ask) -> AsyncGenerator[Sequence[Step], None]:
        """Tokens as they come, at most max_new_tokens; several at once where they came faster than they were read.

        Closing the generator stops the work, and so does the time `until`.
        """
        ...

    def logits(self, ids: Sequence[int]) -> Tensor:
        """[T, V]: after each of the T ids, what may come next."""
        ...

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        """The mean over T of the last hidden states; None where the engine cannot tell them."""
        ...

    def alive(self) -> bool:
        """Whether it can still answer."""
        ...

    def close(self) -> None: ...
