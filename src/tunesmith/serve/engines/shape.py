"""What is done to logits before a token is drawn, in every engine: penalties, bias, the form that was asked for."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


class Form(Protocol):
    """Where an answer stands within the form that it must have; one for each answer."""

    def allowed(self, size: int) -> Tensor:
        """[size] bool: the tokens that may come next."""
        ...

    def add(self, token: int) -> bool:
        """Go on by a token; whether the answer is whole."""
        ...

    def copy(self) -> "Form": ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """How logits are to be changed, as OpenAI defines it.

    presence   taken from each token that was said    frequency  taken from each token as often as it was said
    bias       token → what is added                  form       what the answer must look like; None: anything
    """

    presence: float = 0.0
    frequency: float = 0.0
    bias: Mapping[int, float] = field(default_factory=dict)
    form: Form | None = None


@dataclass(slots=True)
class Shape:
    """The changes for one answer. `said`: how often it said each token."""

    wanted: Wanted
    form: Form | None = field(init=False)
    said: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.form = self.wanted.form.copy() if self.wanted.form else None

    def __call__(self, logits: Tensor) -> Tensor:
        """[V] logits -> [V] to draw from; those given stay as they are."""
        made = logits.clone()
        change(made, self.wanted.bias)
        if self.wanted.presence or self.wanted.frequency:
            change(made, {token: -self._penalty(times) for token, times in self.said.items()})
        if self.form:
            made[~self.form.allowed(len(made))] = -torch.inf
        return made

    def _penalty(self, times: int) -> float:
        return self.wanted.presence + self.wanted.frequency * times

    def add(self, token: int) -> bool:
        """Note what was drawn; whether the answer is whole."""
        self.said[token] += 1
        return self.form is not None and self.form.add(token)


def change(logits: Tensor, by: Mapping[int, float]) -> None:
    """Add to some of [V] logits, in place."""
    if by:
        logits[torch.tensor(list(by))] += torch.tensor(list(by.values()))
