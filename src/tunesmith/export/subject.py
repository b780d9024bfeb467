"""What a verification asks of a model, whatever form it has."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tunesmith.records import Message


class Subject(Protocol):
    """A model in one form, with the tokenizer and the chat template that this form itself carries."""

    def tokenize(self, text: str) -> list[int]:
        """Ids of a text in which control tokens stand as text; nothing is put before or after it."""
        ...

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation up to where the next answer begins."""
        ...

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """[T, V]: after each of the T ids, what may come next."""
        ...

    def answer(self, ids: Sequence[int], most: int) -> list[int]:
        """The likeliest tokens after `ids`, at most `most`, without the stop token."""
        ...
