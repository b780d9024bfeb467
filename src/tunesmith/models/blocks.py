"""The blocks that a transformer repeats."""

from torch import nn


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of every list that makes up most of its part of the model, in order (two lists: encoder, decoder).

    Found by shape: a list of two or more modules of one class that lies in no other such list.
    """
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in model.modules():
        if module not in inside and isinstance(module, nn.ModuleList) and alike(module):
            found += module
            inside |= set(module.modules())
    return found


def alike(modules: nn.ModuleList) -> bool:
    return len({type(module) for module in modules}) == 1
