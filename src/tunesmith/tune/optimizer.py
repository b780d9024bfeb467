"""Optimizers over the parameters that train."""

import torch
from torch import nn
from torch.optim import AdamW

from tunesmith.recipe import Budget


def adamw(model: nn.Module, budget: Budget) -> AdamW:
    """AdamW (Loshchilov and Hutter, 2019); weight decay on matrices only, not on biases and norms."""
    parameters = trainable(model)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": budget.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (budget.beta1, budget.beta2)
    return AdamW([group for group in groups if group["params"]], lr=budget.lr, betas=betas, fused=True)


def trainable(model: nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
