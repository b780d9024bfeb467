"""Weights held in bf16 alone: each step is taken in float32 and rounded up or down by chance."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

LOWER = 1 << 16  # what the half of a float32 that bf16 lacks can count to


def rounded(exact: Tensor, chance: torch.Generator) -> Tensor:
    """float32 -> bfloat16, to either neighbour, the nearer the likelier: the expected value is the exact one.

    The lower 16 bits are overwritten: random ones are added to them and carry, or not, into the upper 16.
    """
    bits = exact.view(torch.int32)
    bits += torch.randint(LOWER, bits.shape, generator=chance, dtype=torch.int32, device=bits.device)
    bits &= -LOWER
    return exact.bfloat16()


class StochasticRounding(Optimizer):
    """Another optimizer over bf16 weights (Zamirai et al., 2020).

    To the nearest bf16, a step under 1/512 of a weight would be lost, every time. One weight tensor at a time is
    widened to float32, stepped by the inner optimizer, and rounded back; state is in the inner optimizer's precision.
    The chances depend on the seed and the number of the step alone, so that all ranks of a job round alike.
    """

    def __init__(
        self, groups: list[dict[str, Any]], make: Callable[[list[dict[str, Any]]], Optimizer], seed: int
    ) -> None:
        self.seed = seed
        self.wide = {weight: empty(weight) for group in groups for weight in group["params"]}
        self.inner = make([{**group, "params": [self.wide[weight] for weight in group["params"]]} for group in groups])
        super().__init__(groups, self.inner.defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # the loop has no closure
        for own, inner in zip(self.param_groups, self.inner.param_groups, strict=True):
            inner["lr"] = own["lr"]
        weights = [weight for weight in self.wide if weight.grad is not None]
        chances = {weight.device: self.chance(weight.device) for weight in weights}
        for weight in weights:
            wide = self.wide[weight]
            wide.data, wide.grad = weight.data.float(), weight.grad.float()
            self.inner.step()  # passes over all whose gradient is None
            weight.copy_(rounded(wide.data, chances[weight.device]))
            wide.data, wide.grad = wide.new_empty(0), None
            self.state[weight] = self.inner.state[wide]
            self.state[weight]["taken"] = self.state[weight].get("taken", 0) + 1

    def chance(self, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed((self.seed << 32) + self.taken)

    @property
    def taken(self) -> int:
        """Steps so far."""
        return max((state["taken"] for state in self.state.values()), default=0)


def empty(weight: Tensor) -> Parameter:
    """What stands for the weight between steps: a float32 tensor of no size."""
    return Parameter(torch.empty(0, dtype=torch.float32, device=weight.device))
