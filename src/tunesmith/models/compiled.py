"""Layers compiled by torch, each by itself, so that names and files of the model stay as they are."""

import torch
from torch import nn

from tunesmith.models.layers import layers


def compile_layers(model: nn.Module) -> None:
    """Nothing is compiled yet: the first batch does that."""
    for layer in layers(model):
        layer.forward = torch.compile(layer.forward)


def plain_layers(model: nn.Module) -> None:
    """Undo `compile_layers`: the class's own forward comes to light again."""
    for layer in layers(model):
        del layer.forward
