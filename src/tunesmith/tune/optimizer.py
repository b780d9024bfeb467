"""Optimizers over the parameters that train."""

from collections.abc import Callable
from itertools import product
from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import Adafactor, AdamW, Optimizer

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Budget
from tunesmith.tune.rounding import StochasticRounding

Groups = list[dict[str, Any]]
SECOND = ".lora_B."  # what peft calls the matrix that starts as zero


def make_optimizer(model: nn.Module, budget: Budget, lr_ratio: float = 1.0) -> Optimizer:
    """The optimizer that the budget names; weight decay on matrices only, not on biases, norms and factors.

    The second matrices of low-rank adapters learn `lr_ratio` times as fast: every group's rate is its "scale" of
    what the schedule says. Parameters that are spread over processes (DTensor) and whole ones form groups of their own,
    since torch moves the parameters of a group in one call and takes no mixture.
    """
    refuse_sharded(model, budget)
    groups: Groups = []
    parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for faster, spread in product((False, True), (False, True)):
        named = [(name, p) for name, p in parameters if (SECOND in name, isinstance(p, DTensor)) == (faster, spread)]
        scale = lr_ratio if faster else 1.0
        for decay, chosen in (
            (budget.weight_decay, [p for _, p in named if is_matrix(p)]),
            (0.0, [p for _, p in named if not is_matrix(p)]),
        ):
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "scale": scale})
    make = OPTIMIZERS[budget.optimizer]
    if budget.precision == "bf16_sr":
        return StochasticRounding(groups, lambda wide: make(wide, budget), budget.seed)
    return make(groups, budget)


def is_matrix(parameter: nn.Parameter) -> bool:
    """Of more than one row and column: (IA)³ keeps its factors, which rest at one, as a matrix of one row or column."""
    return sum(length > 1 for length in parameter.shape) >= 2


def refuse_sharded(model: nn.Module, budget: Budget) -> None:
    """8-bit blocks and rounding know whole tensors only."""
    small = budget.optimizer == "adamw8bit" or budget.precision == "bf16_sr"
    if small and any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        raise UserError(
            tr("tune.optimizer=adamw8bit and tune.precision=bf16_sr do not work on weights sharded over processes"),
            tr("leave the weights whole, or use another optimizer and precision"),
        )


def adamw(groups: Groups, budget: Budget) -> Optimizer:
    """Loshchilov and Hutter, 2019: two numbers of state a weight."""
    return AdamW(groups, lr=budget.lr, betas=(budget.beta1, budget.beta2), fused=True)


def adamw8bit(groups: Groups, budget: Budget) -> Optimizer:
    """Dettmers et al., 2022: two bytes of state a weight, in blocks of 256; tensors under 4,096 weights keep all 8."""
    from bitsandbytes.optim.adamw import AdamW8bit

    return AdamW8bit(groups, lr=budget.lr, betas=(budget.beta1, budget.beta2))


def adafactor(groups: Groups, budget: Budget) -> Optimizer:
    """Shazeer and Stern, 2018: a row and a column of state a matrix."""
    return Adafactor(groups, lr=budget.lr)


OPTIMIZERS: dict[str, Callable[[Groups, Budget], Optimizer]] = {
    "adamw": adamw,
    "adamw8bit": adamw8bit,
    "adafactor": adafactor,
}
