"""Rows for new tokens in the input and output embeddings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class GrowVocabulary:
    """Make room for `size` tokens; every one of `new` starts as the mean of all rows that were there before."""

    size: int
    new: tuple[int, ...]

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        means = [embedding.weight.detach().float().mean(0) for _, embedding in embeddings(model)]
        resize(model, self.size)
        with torch.no_grad():
            for (_, embedding), mean in zip(embeddings(model), means, strict=True):
                embedding.weight[list(self.new)] = mean.to(embedding.weight)
        return model


def resize(model: PreTrainedModel, size: int) -> PreTrainedModel:
    """At least `size` embedding rows; rows beyond the old ones are the mean of those. Never shrinks."""
    old = rows(model)
    if size > old:
        model.resize_token_embeddings(size, mean_resizing=False)
        with torch.no_grad():
            for _, embedding in embeddings(model):
                embedding.weight[old:] = embedding.weight[:old].float().mean(0).to(embedding.weight)
    return model


def rows(model: PreTrainedModel) -> int:
    """Words that the input embedding has room for; an adapter may have wrapped it."""
    inner = model.get_input_embeddings().modules()
    return next(module.num_embeddings for module in inner if isinstance(module, nn.Embedding))


def embeddings(model: PreTrainedModel) -> Iterator[tuple[str, nn.Embedding | nn.Linear]]:
    """(module name, module) of the input embedding, and of the output embedding if its weights are its own."""
    given, taken = model.get_input_embeddings(), model.get_output_embeddings()
    for module in (given, taken):
        if module is given or (module is not None and module.weight is not given.weight):
            name = next(name for name, found in model.named_modules() if found is module)
            yield name, cast(nn.Embedding | nn.Linear, module)


def new_token_names(model: PreTrainedModel, new: Sequence[int]) -> dict[str, list[int]]:
    """For peft: under each embedding's module name, the rows that train beside an adapter."""
    return {name: list(new) for name, _ in embeddings(model)} if new else {}
