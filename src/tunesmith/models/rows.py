"""Rows of an output layer that are learnt beside an adapter, while the rest of it stays as it is."""

from dataclasses import dataclass

import torch
from peft.utils import TrainableTokensWrapper
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Learnt:
    """values [N, H] stand in the weight at the places [N]."""

    values: Tensor
    places: Tensor


def unwrapped(layer: nn.Module | None) -> tuple[nn.Module | None, Learnt | None]:
    """The layer itself, and the rows that peft puts into its weight at every pass; None where it does so with none."""
    if type(layer) is not TrainableTokensWrapper:
        return layer, None
    rows = layer.token_adapter
    inner, active = rows.base_layer, rows.active_adapters
    if rows.disable_adapters or rows.merged or not active:
        return inner, None
    values = torch.cat([rows.trainable_tokens_delta[name] for name in active])
    places = [place for name in active for place in rows.token_indices[name]]
    return inner, Learnt(values, torch.tensor(places, device=values.device))
