"""A base that no process ever holds whole: each reads from the files the parts that FSDP2 leaves to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn import Parameter
from transformers import PreTrainedModel

from tunesmith.messages import tr
from tunesmith.models.skeleton import Place, UnfitError, fill, hollow, skeleton, stand_in
from tunesmith.models.surgery.grow_vocabulary import embeddings
from tunesmith.recipe import Tune
from tunesmith.tune.parallel import device, rank, shard, world_size


def base(stage: Tune) -> PreTrainedModel:
    """The stage's base without its weights. Raises UnfitError where parts of it alone would not do."""
    if stage.adapter == "lora" and stage.lora.variant == "dora":
        raise UnfitError(tr("DoRA begins with the length of its columns"))
    return skeleton(stage.base)[0]


def weightless(model: nn.Module) -> bool:
    """Whether its weights are still to be read."""
    return any(parameter.is_meta for parameter in model.parameters())


@contextmanager
def standing_in(model: PreTrainedModel, places: Mapping[Parameter, Place], whole: bool) -> Iterator[None]:
    """Here the model can be changed as if it were read; with `whole` the embeddings are, for those grow by value."""
    if whole:
        for _, embedding in embeddings(model):
            for parameter in embedding.parameters():
                fill(parameter, places[parameter].read(parameter.dtype))
    unread = [parameter for parameter in places if parameter.is_meta]
    stand_in(unread)
    yield
    hollow(unread)


def shard_unread(model: PreTrainedModel, places: Mapping[Parameter, Place]) -> PreTrainedModel:
    """Split the model over all processes (see `shard`), and read what this one holds of it."""
    unread = {name: places[parameter] for name, parameter in model.named_parameters() if parameter.is_meta}
    shard(model)
    for name, parameter in model.named_parameters():
        if name in unread:
            fill(parameter, own_part(cast(DTensor, parameter), unread[name]))
    return model


def own_part(parameter: DTensor, place: Place) -> Tensor:
    """The rows that this process holds: FSDP2 cuts along the first dimension, as torch.chunk does."""
    rows = len(parameter)
    each = -(-rows // world_size())
    mine = slice(min(rank() * each, rows), min((rank() + 1) * each, rows))
    dtype = parameter.dtype
    part = place.read(dtype, mine) if mine.start < mine.stop else torch.empty((0, *parameter.shape[1:]), dtype=dtype)
    return DTensor.from_local(
        part.to(device()),
        parameter.device_mesh,
        parameter.placements,
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )
