"""Weights that are the embedding and the output layer at once."""

from functools import partial
from typing import Any

from torch import Tensor, is_grad_enabled, nn, zeros_like
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel


def add_in_place(model: PreTrainedModel) -> list[RemovableHandle]:
    """Let a tied embedding add its gradient to the rows of .grad that it read.

    Left to autograd, a second tensor of the whole vocabulary, nearly all of it zeros, would be written and added: at
    150,000 words that is the largest of a step. Only where nothing waits for autograd to fill .grad, as what sums it
    over processes does. Returns what takes it back.
    """
    output = model.get_output_embeddings()
    if type(output) is not nn.Linear or not output.weight.requires_grad:
        return []
    tied = [module for module in model.modules() if type(module) is nn.Embedding and module.weight is output.weight]
    plain = [module for module in tied if module.max_norm is None and not module.scale_grad_by_freq]
    return [module.register_forward_hook(apart) for module in plain]


def apart(embedding: Any, given: tuple[Tensor, ...], found: Tensor) -> Tensor:
    """What was looked up, cut off from the weight; its gradient goes there by hand."""
    if not is_grad_enabled():
        return found
    found = found.detach().requires_grad_()
    found.register_hook(partial(add_rows, embedding, given[0]))
    return found


def add_rows(embedding: nn.Embedding, ids: Tensor, gradient: Tensor) -> None:
    """embedding.weight.grad[ids] += gradient [..., H]."""
    weight = embedding.weight
    if weight.grad is None:
        weight.grad = zeros_like(weight)
    if embedding.padding_idx is not None:
        gradient = gradient.masked_fill((ids == embedding.padding_idx)[..., None], 0)
    weight.grad.index_add_(0, ids.flatten(), gradient.flatten(0, -2).to(weight.dtype))
