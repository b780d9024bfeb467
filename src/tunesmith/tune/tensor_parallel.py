"""One model over several processes, each computing its heads and its part of the MLP on the same rows.

Which layers are split, and how, is the plan that transformers keeps with the model (Shoeybi et al., 2019). Where
columns are followed by rows, one sum over the processes closes the pair; in between each process holds its own part of
the features. Embeddings and the output layer stay whole, and so does what the plan does not name. A process draws for
its own part of the features the same random numbers as the others for theirs, so that what is whole drops out alike
everywhere.

Weights are torch's DTensors, products those of their local parts: torch's own parallel layers would work out anew how
to split each operation for every length of a batch, some 20 ms a time.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
import torch.distributed as dist
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.nn.functional import linear
from transformers import PreTrainedModel

from tunesmith.batch import Batch, Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.adapted import bare
from tunesmith.models.load import BROKEN, brief
from tunesmith.objectives.base import Objective
from tunesmith.proof import Proof
from tunesmith.tune import proofs, shortcuts
from tunesmith.tune.feed import collate
from tunesmith.tune.parallel import agreed, compute, device, local, whole, world_size

Forward = Callable[[nn.Linear, DeviceMesh, Tensor], Tensor]

WHOLE = "replicate"
PARTIAL = "replicated_with_grad_allreduce"  # whole, but used on this process's features alone
HEADS = ("num_attention_heads", "num_key_value_heads")


def split_proved(
    model: PreTrainedModel, objective: Objective, sample: Sequence[Example], pad: int
) -> tuple[PreTrainedModel, Proof]:
    """The model split over all processes, on their devices, and the proof that together they compute what it did."""
    batch = collate(sample, pad)
    logits, gradient = [proofs.logits(model, row) for row in sample], witnesses(model, objective, batch)
    split(model)
    try:
        apart = max(proofs.distance(proofs.logits(model, row), old) for row, old in zip(sample, logits, strict=True))
        drift = shortcuts.distance(witnesses(model, objective, batch), gradient)
    except torch.OutOfMemoryError:  # says nothing about the plan; tune tells what to lower
        raise
    except (NotImplementedError, *BROKEN) as error:
        raise refusal(model, brief(error)) from error
    detail = tr(
        "split over {count} processes, the logits differ by {apart} (relative) from those of the whole model, "
        "and the gradient by {drift}",
        count=world_size(),
        apart=f"{apart:.1e}",
        drift=f"{drift:.1e}",
    )
    return model, proofs.judged("tensor_parallel_changes_nothing", len(sample), detail, agreed(max(apart, drift)))


def witnesses(model: PreTrainedModel, objective: Objective, batch: Batch) -> dict[str, Tensor]:
    """What is kept to compare of the gradient of every parameter, on the CPU; each is dropped as soon as it is there.

    So that a whole model need not have room for its gradient: a sum that the plan forgets shows here alone.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[Tensor], None]:
        def kept(parameter: Tensor) -> None:
            assert parameter.grad is not None
            found[name] = shortcuts.witness(whole(parameter.grad)).to("cpu", copy=True)
            parameter.grad = None

        return kept

    model.eval()
    model.zero_grad(set_to_none=True)
    hooks = [
        p.register_post_accumulate_grad_hook(keep(name)) for name, p in model.named_parameters() if p.requires_grad
    ]
    compute(model, objective, batch.to(model.device)).loss.backward()
    for hook in hooks:
        hook.remove()
    return found


def split(model: PreTrainedModel) -> None:
    """Leave to this process its part of every layer that the model's plan splits, and move all to its device."""
    refuse_heads(bare(model))
    mesh = init_device_mesh(device().type, (world_size(),))
    planned = list(layers(model))
    if not any(isinstance(module, nn.Linear | LoraLayer) for module, _, _ in planned):
        raise refusal(model, tr("it has no plan for it"))
    for module, name, word in planned:
        if word == PARTIAL:
            sum_each_gradient(module)
        elif word != WHOLE:
            split_layer(module, name, word, mesh)
    model.to(device())  # type: ignore[arg-type]  # transformers' annotation lacks self


def layers(model: PreTrainedModel) -> Iterator[tuple[nn.Module, str, str]]:
    """Every module inside the model that its plan names, its name, and the plan's word for it."""
    inner = bare(model)
    plan = inner.tp_plan
    ends = {inner.get_input_embeddings(), inner.get_output_embeddings()}
    for name, module in inner.named_modules():
        word = plan.get(re.sub(r"\d+", "*", name))
        if word is not None and module not in ends:
            yield module, name, word


def split_layer(layer: nn.Module, name: str, word: str, mesh: DeviceMesh) -> None:
    """A linear layer; of one with LoRA (B·A beside it), the matrix on the side that is split too."""
    if word not in COLUMNS | ROWS or not isinstance(layer, nn.Linear | LoraLayer):
        raise UserError(
            tr("the model's plan splits {name} in a way that tunesmith does not know: {word}", name=name, word=word),
            tr("set tune.sharding=full"),
        )
    parts: list[nn.Module] = [layer]
    if isinstance(layer, LoraLayer):
        parts = [layer.base_layer, *(layer.lora_B if word in COLUMNS else layer.lora_A).values()]
    for part in cast(list[nn.Linear], parts):
        width = part.out_features if word in COLUMNS else part.in_features
        refuse_uneven(f"{name}: {width}", width)
        split_weights(part, mesh, 0 if word in COLUMNS else 1)
        cast(Any, part).forward = partial((COLUMNS | ROWS)[word], part, mesh)


def split_weights(layer: nn.Linear, mesh: DeviceMesh, dim: int) -> None:
    """Along one dimension; a bias that lacks it stays whole. Every process has read the same weights."""
    for name, old in list(layer.named_parameters(recurse=False)):
        placement = Shard(dim) if dim < old.ndim else Replicate()
        new = distribute_tensor(old.detach(), mesh, [placement], src_data_rank=None)
        layer.register_parameter(name, nn.Parameter(new, old.requires_grad))


def columns(layer: nn.Linear, mesh: DeviceMesh, x: Tensor) -> Tensor:
    """[..., in] -> [..., this process's part of out]. What each sends back to x is summed."""
    x = DTensor.from_local(x, mesh, [Replicate()], run_check=False).to_local(grad_placements=[Partial()])
    return linear(x, local(layer.weight), None if layer.bias is None else local(layer.bias))


def columns_gathered(layer: nn.Linear, mesh: DeviceMesh, x: Tensor) -> Tensor:
    """[..., in] -> [..., out]."""
    return whole(DTensor.from_local(columns(layer, mesh, x), mesh, [Shard(-1)], run_check=False))


def rows(layer: nn.Linear, mesh: DeviceMesh, x: Tensor) -> Tensor:
    """[..., this process's part of in] -> [..., out], the sum over the processes."""
    out = whole(DTensor.from_local(linear(x, local(layer.weight)), mesh, [Partial()], run_check=False))
    return out if layer.bias is None else out + local(layer.bias).to(out.dtype)


def rows_of_whole(layer: nn.Linear, mesh: DeviceMesh, x: Tensor) -> Tensor:
    """[..., in] -> [..., out]; each process takes its part of x."""
    parts = DTensor.from_local(x, mesh, [Replicate()], run_check=False).redistribute(placements=[Shard(-1)])
    return rows(layer, mesh, local(parts))


COLUMNS: dict[str, Forward] = {"colwise": columns, "colwise_gather_output": columns_gathered}
ROWS: dict[str, Forward] = {"rowwise": rows, "rowwise_split_input": rows_of_whole}


def sum_each_gradient(module: nn.Module) -> None:
    """Each process uses the parameters on its own features: every backward pass, the sum is what they receive."""

    def summed(gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient

    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.register_hook(summed)


def refuse_heads(model: PreTrainedModel) -> None:
    """No head is computed by two."""
    config: Any = model.config.get_text_config()
    for name in HEADS:
        count = getattr(config, name, None)
        if count is not None:
            refuse_uneven(f"{name}={count}", count)


def refuse_uneven(what: str, width: int) -> None:
    if width % world_size():
        raise UserError(
            tr(
                "tune.sharding=tensor cannot split {what} evenly over {count} processes",
                what=what,
                count=world_size(),
            ),
            tr("set --processes to a number that divides it, or tune.sharding=full"),
        )


def refusal(model: PreTrainedModel, reason: str) -> UserError:
    return UserError(
        tr(
            "this kind of model ({kind}) cannot be split by tune.sharding=tensor: {reason}",
            kind=type(bare(model)).__name__,
            reason=reason,
        ),
        tr("set tune.sharding=full"),
    )
