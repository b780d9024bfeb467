"""A running average of the weights that train."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class Average:
    """Exponential moving average (Polyak and Juditsky, 1992; Tarvainen and Valpola, 2017), in float32.

    It reaches back over about 1 / (1 - decay) steps, and in a run's beginning over a tenth of those taken: else it
    would for long be the base. (torch's AveragedModel would copy the frozen weights too.)
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: p.detach().to(torch.float32, copy=True) for name, p in trained(model)}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """After each step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in trained(model):
            self.weights[name].lerp_(parameter.float(), 1 - decay)
        self.updates += 1

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model with the averaged weights; afterwards with its own again, bit for bit."""
        own = {name: parameter.detach().clone() for name, parameter in trained(model)}
        self.put(model)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in trained(model):
                    parameter.copy_(own[name])

    @torch.no_grad()
    def put(self, model: nn.Module) -> None:
        for name, parameter in trained(model):
            parameter.copy_(self.weights[name])

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = int(state["updates"])
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])


def trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
