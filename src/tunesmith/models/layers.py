"""The blocks that a model is a pile of."""

from collections.abc import Iterator

from torch import nn


def layers(model: nn.Module) -> list[nn.Module]:
    """The longest list of blocks of one class, from the bottom up; empty where there is none."""
    return max((list(pile) for pile in piles(model) if len({type(block) for block in pile}) == 1), key=len, default=[])


def blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of all such lists (an encoder's and a decoder's), in order."""
    return [block for pile in piles(model) if len({type(block) for block in pile}) == 1 for block in pile]


def piles(module: nn.Module) -> Iterator[nn.ModuleList]:
    """Lists of modules that lie in no other: a layer's experts may be more than the layers."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from piles(child)
