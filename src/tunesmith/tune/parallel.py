"""Sums over the ranks of a torch.distributed job; without one, the identity."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter


def rank() -> int:
    return dist.get_rank() if running() else 0


def world_size() -> int:
    return dist.get_world_size() if running() else 1


def running() -> bool:
    return dist.is_available() and dist.is_initialized()


def sum_over_ranks(value: Tensor) -> Tensor:
    """The same tensor, holding the sum over all ranks."""
    if running():
        dist.all_reduce(value)
    return value


def sum_gradients(parameters: Sequence[Parameter]) -> None:
    """Sum .grad over all ranks; a rank that had no micro-batch in this step adds zeros."""
    if not running():
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)
