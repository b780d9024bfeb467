"""ZeRO (Rajbhandari et al., 2020), by DeepSpeed: an engine around a model that the rest of a run knows as it was.

Stage 2 splits gradients and the optimizer's state over the processes, stage 3 the weights too. The engine takes means
over the processes where we take sums: whoever calls backward multiplies by their number (`parallel.backward`).
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr
from tunesmith.objectives.base import Objective, Sums
from tunesmith.recipe import Budget, Tune

STAGES = {"zero2": 2, "zero3": 3}
TAKEN = {"zero2": ("full", "lora"), "zero3": ("full",)}  # peft's trained token rows read weights that stage 3 put away
BUCKET = 1 << 25  # numbers in one message: 128 MB of fp32
KEPT = 100_000  # numbers of a weight up to which it stays whole in stage 3: norms and the like
warnings.filterwarnings("ignore", ".*torch.distributed.* is deprecated", FutureWarning)  # as DeepSpeed calls it


@dataclass(frozen=True, slots=True)
class Zero:
    """What a divided model carries. (The engine itself is a module, and would count as a part of the model.)"""

    engine: Any

    @property
    def stage(self) -> int:
        return int(self.engine.zero_optimization_stage())

    @property
    def rows(self) -> list[Tensor]:
        """What the optimizer steps: this process's part of the weights that train, one row for each group."""
        inner = self.engine.optimizer
        return list(inner.fp32_partitioned_groups_flat if self.stage == 3 else inner.single_partition_of_fp32_groups)

    @property
    def owner(self) -> str:
        """Whose parts these are, in names of tensors."""
        return f"zero{self.stage}/{self.engine.global_rank}of{self.engine.world_size}"


class Asked(nn.Module):
    """What DeepSpeed takes for the model: within its forward pass an objective may read any weight, as it does."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, objective: Objective, batch: Batch, low: torch.dtype | None) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast(self.model.device.type, low, enabled=low is not None):
            sums = objective(self.model, batch)
        return sums.loss, sums.metrics


def zero(model: nn.Module) -> Zero | None:
    """What `divide` left at the model."""
    return cast(Zero | None, getattr(model, "divided", None))


def divide(model: PreTrainedModel, optimizer: Optimizer, budget: Budget) -> None:
    """Split the state of model and optimizer over all processes, in place. The engine clips from now on."""
    with aside():
        import deepspeed

        # A sum in shared memory, for CPUs; its first use would compile for minutes what Gloo does as well.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        asked = Asked(model)
        for weight in outermost(model):  # is read outside of its layer: tied, the embedding would put it away before
            deepspeed.zero.register_external_parameter(asked, weight)
        engine, *_ = deepspeed.initialize(model=asked, optimizer=optimizer, config=settings(budget))
    cast(Any, model).divided = Zero(engine)


def outermost(model: PreTrainedModel) -> list[nn.Parameter]:
    """The weights of the output layer."""
    layer = model.get_output_embeddings()
    return [] if layer is None else list(layer.parameters())


def settings(budget: Budget) -> dict[str, Any]:
    """What DeepSpeed is told; what a micro-batch is and when a step ends is the loop's to say."""
    return {
        "train_micro_batch_size_per_gpu": 1,  # is asked for, and read by nobody
        "managed_gradient_accumulation": False,
        "gradient_clipping": budget.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": STAGES[budget.sharding],
            "reduce_bucket_size": BUCKET,
            "allgather_bucket_size": BUCKET,
            "stage3_param_persistence_threshold": KEPT,
        },
    }


@contextmanager
def aside() -> Iterator[None]:
    """DeepSpeed speaks on stdout, which may be a program's; only what is wrong is said, and beside."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(logging.NOTSET)


def compute(divided: Zero, objective: Objective, batch: Batch) -> Sums:
    """A forward pass. The engine would end the autocast that it is called in, so it is begun again within."""
    kind = batch.tokens.device.type
    low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    with torch.autocast(kind, enabled=False):
        return Sums(*divided.engine(objective, batch, low))


def step(divided: Zero) -> Tensor:
    """Clip the gradients and take the step, unless their norm is not finite; the norm before, or NaN."""
    engine = divided.engine
    engine.step()
    norm = float(engine.get_global_grad_norm()) if engine.was_step_applied() else float("nan")
    return torch.tensor(norm, dtype=torch.float64)


def rows(model: nn.Module) -> dict[Tensor, str]:
    """What the optimizer of a divided model steps, each with a name."""
    divided = zero(model)
    return {row: f"{divided.owner}/{number}" for number, row in enumerate(divided.rows)} if divided else {}


def parts(model: nn.Module) -> dict[str, Tensor] | None:
    """Of each weight that trains what this process holds, by name; None where that is all of it."""
    divided = zero(model)
    if not divided or divided.stage < 3:
        return None
    named = ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
    return {f"{divided.owner}/{name}": cast(Any, parameter).ds_tensor for name, parameter in named}


def reread(model: nn.Module) -> None:
    """After the weights, or the parts of them, were changed from without: what was made of them is made anew."""
    if divided := zero(model):
        divided.engine.empty_partition_cache()
        divided.engine.optimizer.refresh_fp32_params()


@contextmanager
def stepping(model: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Here the optimizer knows what it steps; in stage 3 the engine tells it only during a step."""
    divided = zero(model)
    if not divided or divided.stage < 3:
        yield
        return
    for number, row in enumerate(divided.rows):
        optimizer.param_groups[divided.engine.optimizer.sub_group_to_group_id[number]]["params"].append(row)
    try:
        yield
    finally:
        for group in optimizer.param_groups:
            group["params"] = []


def whole_state(model: nn.Module) -> dict[str, Tensor] | None:
    """Of a model whose weights are split, all of them in the memory of the leading process; None of a whole one."""
    divided = zero(model)
    if not divided or divided.stage < 3:
        return None
    import deepspeed

    held: dict[int, Tensor] = {}
    for parameter in model.parameters():
        with deepspeed.zero.GatheredParameters([parameter]):
            if divided.engine.global_rank == 0:
                held[id(parameter)] = parameter.detach().to("cpu", copy=True)
    return {name: held.get(id(value), value) for name, value in model.state_dict(keep_vars=True).items()}


def state_to_come(model: nn.Module) -> int:
    """Bytes that a process will hold when its model is divided: a copy of its part of the weights, two of state."""
    numbers = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return 12 * numbers // dist.get_world_size()


def refuse(stage: Tune) -> None:
    """What ZeRO cannot be combined with, or lacks here."""
    budget = stage.tune
    if budget.sharding not in STAGES:
        return
    unfit = {
        f"adapter={stage.adapter}": stage.adapter not in TAKEN[budget.sharding],
        f"lora.variant={stage.lora.variant}": stage.adapter == "lora" and stage.lora.variant not in ("plain", "rslora"),
        f"tune.optimizer={budget.optimizer}": budget.optimizer != "adamw",
        "tune.precision=bf16_sr": budget.precision == "bf16_sr",
        f"tune.ema={budget.ema}": bool(budget.ema),
        "tune.compile=true": budget.compile,
    }
    for name, asked in unfit.items():
        if asked:
            raise UserError(
                tr("{name} does not go with tune.sharding={way}", name=name, way=budget.sharding),
                tr("leave it out, or set tune.sharding=none or tune.sharding=full"),
            )
    if not find_spec("deepspeed"):
        raise missing_extra("deepspeed", "deepspeed", f"tune.sharding={budget.sharding}")
    if not dist.is_initialized():
        raise UserError(
            tr(
                "tune.sharding={way} splits the state of a run over several processes, and there is one",
                way=budget.sharding,
            ),
            tr("add --processes N, or set tune.sharding=none"),
        )
