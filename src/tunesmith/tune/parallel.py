"""One run in several processes, on torch.distributed itself.

A process is one of those that torchrun starts (its environment says which). Each holds the whole model and gradients
are summed over all, or FSDP2 splits parameters, gradients and optimizer between them, or each computes its part of
every layer on the same rows (see tensor_parallel). Without other processes every function here is the identity.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.nn import Parameter
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.models.layers import blocks
from tunesmith.objectives.base import Objective, Sums
from tunesmith.tune import zero

T = TypeVar("T")
BUCKET = 1 << 23  # numbers that are summed over the ranks in one message: 32 MB of fp32


@contextmanager
def joined() -> Iterator[None]:
    """Take part in the job that torchrun started, if it did; the device of this process becomes torch's default."""
    if "WORLD_SIZE" not in os.environ or running():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def running() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if running() else 0


def world_size() -> int:
    return dist.get_world_size() if running() else 1


def copies(model: nn.Module) -> int:
    """How many processes read the same rows together: all that compute parts of one layer, else 1."""
    return world_size() if is_split(model) and not isinstance(model, FSDPModule) else 1


def data_rank(model: nn.Module) -> int:
    """Which share of a step's rows this process reads, of `data_ranks`."""
    return rank() // copies(model)


def data_ranks(model: nn.Module) -> int:
    return world_size() // copies(model)


def leads() -> bool:
    """Whether this process is the one that writes and speaks."""
    return rank() == 0


def wait_for_all() -> None:
    if running():
        dist.barrier()


def from_leader(value: T) -> T:
    """What the leading process holds here; the others wait for it."""
    if not running():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def agreed(value: float) -> float:
    """The largest that any process found."""
    return float(max_over_ranks(torch.tensor(value, dtype=torch.float64)))


def max_over_ranks(value: Tensor) -> Tensor:
    if running():
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return value


def own_randomness(model: nn.Module, seed: int) -> None:
    """Let no two processes draw the same dropout masks, unless they read the same rows: those must."""
    if data_rank(model):
        torch.manual_seed(seed + data_rank(model) * 1_000_003)


def device() -> torch.device:
    """Where this process computes."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def sum_over_ranks(model: nn.Module, value: Tensor) -> Tensor:
    """The same tensor, holding the sum over all rows of the step, the same on every rank to the last bit."""
    if running():
        dist.all_reduce(value)
        value /= copies(model)
    return value


def sum_gradients(model: nn.Module) -> None:
    """Sum .grad over all rows of the step, many in one message; what is split over the ranks is summed already.

    Ranks that read the same rows have the same sums already, but for the last bits: they take the mean, lest their
    copies of a parameter drift apart.
    """
    if not running():
        return
    held = [p for p in model.parameters() if p.requires_grad and not isinstance(p, DTensor)]
    for bucket in buckets([gradient(parameter) for parameter in held]):
        flat = torch.cat([part.reshape(-1) for part in bucket])
        dist.all_reduce(flat)
        flat /= copies(model)
        for part, summed in zip(bucket, flat.split([part.numel() for part in bucket]), strict=True):
            part.copy_(summed.view_as(part))


def gradient(parameter: Parameter) -> Tensor:
    """Its .grad; a rank that the parameter took no part in adds zeros."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, up to BUCKET numbers together."""
    some: list[Tensor] = []
    for tensor in tensors:
        if some and (some[0].dtype != tensor.dtype or sum(part.numel() for part in some) + tensor.numel() > BUCKET):
            yield some
            some = []
        some.append(tensor)
    if some:
        yield some


def shard(model: PreTrainedModel) -> PreTrainedModel:
    """Split every block's parameters over all ranks (FSDP2); each is put together only while it computes."""
    mesh = init_device_mesh(device().type, (world_size(),))
    for module in (*blocks(model), model):
        split = fully_shard(module, mesh=mesh, reshard_after_forward=True)  # after evaluation too: no backward follows
        split.set_gradient_divide_factor(1.0)  # sums, not means: the loop divides by all terms
        split.set_force_sum_reduction_for_comms(True)
    added = cast(Any, model)
    added.objective_sums = MethodType(objective_sums, model)
    register_fsdp_forward_method(added, "objective_sums")
    return model


def objective_sums(model: PreTrainedModel, objective: Objective, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """A forward pass of a split model: within it all parameters outside the blocks are whole, the head's too."""
    sums = objective(model, batch)
    return sums.loss, sums.metrics


def compute(model: PreTrainedModel, objective: Objective, batch: Batch) -> Sums:
    """The objective's sums on a batch that is on the model's device."""
    if isinstance(model, FSDPModule):
        return Sums(*cast(Any, model).objective_sums(objective, batch))
    if divided := zero.zero(model):
        return zero.compute(divided, objective, batch)
    return objective(model, batch)


def backward(model: PreTrainedModel, loss: Tensor) -> None:
    """Add the loss's gradient to what will be summed over the ranks. DeepSpeed divides by their number."""
    (loss * world_size() if zero.zero(model) else loss).backward()


@contextmanager
def opened(model: nn.Module) -> Iterator[None]:
    """Here a part of a split model can be called by itself: what stands outside the blocks is whole on every rank."""
    if not isinstance(model, FSDPModule):
        yield
        return
    model.unshard()
    try:
        yield
    finally:
        model.reshard()


def is_split(model: nn.Module) -> bool:
    """Whether some parameter is spread over the ranks."""
    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def clip_gradients(model: nn.Module, largest: float) -> Tensor:
    """Shrink all .grad so that their common norm is at most `largest`; the norm before."""
    kinds: dict[bool, list[Parameter]] = {}
    for parameter in model.parameters():
        if parameter.grad is not None:
            kinds.setdefault(isinstance(parameter, DTensor), []).append(parameter)  # torch takes no mixed lists
    norms = [whole(get_total_norm([gradient(parameter) for parameter in kind])) for kind in kinds.values()]
    norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    for kind in kinds.values():
        clip_grads_with_norm_(kind, largest, norm)
    return norm


def local(value: Tensor) -> Tensor:
    """The part of it that this process holds."""
    return value.to_local() if isinstance(value, DTensor) else value


def whole(value: Tensor) -> Tensor:
    """The tensor itself of one that is spread over the ranks; all must ask at once."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def whole_state(model: nn.Module) -> dict[str, Tensor] | None:
    """Of a split model, all weights in the memory of the leading process; None of a whole one."""
    if not is_split(model):
        return zero.whole_state(model)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return cast(dict[str, Tensor], get_model_state_dict(model, options=options))
