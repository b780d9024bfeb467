"""Optimizers over the parameters that train."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Adafactor, AdamW, Optimizer

from tunesmith.recipe import Budget

Groups = list[dict[str, Any]]


def make_optimizer(model: nn.Module, budget: Budget) -> Optimizer:
    """The optimizer that the budget names; weight decay on matrices only, not on biases and norms."""
    parameters = trainable(model)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": budget.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[budget.optimizer]([group for group in groups if group["params"]], budget)


def adamw(groups: Groups, budget: Budget) -> Optimizer:
    """Loshchilov and Hutter, 2019: two numbers of state a weight."""
    return AdamW(groups, lr=budget.lr, betas=(budget.beta1, budget.beta2), fused=True)


def adafactor(groups: Groups, budget: Budget) -> Optimizer:
    """Shazeer and Stern, 2018: a row and a column of state a matrix."""
    return Adafactor(groups, lr=budget.lr)


OPTIMIZERS: dict[str, Callable[[Groups, Budget], Optimizer]] = {"adamw": adamw, "adafactor": adafactor}


def trainable(model: nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
