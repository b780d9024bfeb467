"""Everything that the rest of a run depends on, in one folder that is written whole while training goes on.

A checkpoint holds the weights that train, the optimizer's state and the random numbers as safetensors (each process
writes its part; any number of them can read it), and `state.json` beside. The links `last` and `best` in
checkpoints/ are swapped in one move; what neither points to is removed.
"""

import os
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from tunesmith.artifact import sync_tree, write_json
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.load import brief, read_object
from tunesmith.tune import zero
from tunesmith.tune.parallel import from_leader, leads, local, running

STATE = "state.json"
FILE = 256 << 20  # bytes of tensors in one file: each is put together in memory before it is written
warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # we tell torch so ourselves


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands.

    identity   what the run depends on besides the code; a resumed run must have the same
    precision  as it was chosen at the start
    way        the shortcuts that were proved at the start
    seconds    of training so far
    proofs     as JSON, made before the first step
    micro_tokens  of a forward pass, as they were found to fit
    """

    step: int
    identity: dict[str, Any]
    precision: str
    seconds: float
    proofs: list[dict[str, Any]]
    way: dict[str, bool]
    micro_tokens: int
    best_step: int | None = None
    best_loss: float | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A checkpoint that is being written."""

    written: "Future[Any]"
    temporary: Path
    state: State


class Writer:
    """Writes the checkpoints of one run, one at a time. All processes of the run call each method together."""

    def __init__(self) -> None:
        self.pending: Pending | None = None
        self.group = dist.new_group(backend="gloo") if running() else None  # apart from that of the training steps

    def write(self, folder: Path, tensors: dict[str, Any], state: State) -> None:
        """Copy the tensors, and write them into a checkpoint in `folder` beside the training that goes on."""
        self.finish()
        temporary = folder / f".step-{state.step:06d}"
        if leads():
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        temporary = from_leader(temporary)
        writer = HuggingFaceStorageWriter(str(temporary), files(self.sizes(tensors)), save_distributed=True)
        written = async_save(tensors, storage_writer=writer, process_group=self.group, no_dist=self.group is None)
        assert isinstance(written, Future)
        self.pending = Pending(written, temporary, state)

    def sizes(self, tensors: dict[str, Any]) -> dict[str, int]:
        """Bytes of each, over all processes: some have tensors that others know nothing of."""
        mine = {name: size_of(local(tensor)) for name, tensor in tensors.items()}
        every: list[Any] = [mine] * (self.group.size() if self.group else 1)
        if self.group:
            dist.all_gather_object(every, mine, group=self.group)
        return {name: size for some in every for name, size in some.items()}

    @property
    def written(self) -> bool:
        """Whether a checkpoint is ready to be put in place. The leading process learns so last, of all parts."""
        return self.pending is not None and self.pending.written.done()

    def finish(self) -> None:
        """Wait for the checkpoint that is being written, if any, and let `last` (and `best`, if it is) point to it.

        Raises OSError where it cannot be written.
        """
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        try:
            pending.written.result()
        except (RuntimeError, CheckpointException) as error:  # what torch makes of a full disk
            raise OSError(brief(innermost(error))) from error
        if leads():
            put_in_place(pending.temporary, pending.state)


def innermost(error: BaseException) -> BaseException:
    """What went wrong in the first process where something did; torch tells it behind the way it came."""
    while isinstance(error, CheckpointException) and error.failures:
        error = error.failures[min(error.failures)][0]
    return error


def files(sizes: Mapping[str, int]) -> dict[str, int]:
    """For each tensor the number, from 1, of the file that it goes to: no more than FILE bytes, or one tensor."""
    places, number, held = dict[str, int](), 1, 0
    for name, size in sizes.items():
        if held and held + size > FILE:
            number, held = number + 1, 0
        places[name], held = number, held + size
    return places


def copied(size: int) -> int:
    """Bytes of host memory that a checkpoint of so many bytes takes while it is written: all of it, and a file."""
    return size + min(size, FILE)


def put_in_place(temporary: Path, state: State) -> None:
    """Make what was written under a temporary name a checkpoint that counts."""
    folder, name = temporary.parent, f"step-{state.step:06d}"
    write_json(temporary / STATE, asdict(state))
    sync_tree(temporary)
    shutil.rmtree(folder / name, ignore_errors=True)
    temporary.rename(folder / name)
    point(folder / "last", name)
    if state.best_step is not None:
        point(folder / "best", f"step-{state.best_step:06d}")
    prune(folder)


def point(link: Path, name: str) -> None:
    """Make `link` lead to its neighbour `name`, in one move."""
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name)
    os.replace(temporary, link)


def prune(folder: Path) -> None:
    """Remove the checkpoints that no link leads to, and what a kill left half-written."""
    kept = {link.resolve().name for link in folder.iterdir() if link.is_symlink()}
    for entry in folder.iterdir():
        if not entry.is_symlink() and entry.name not in kept:
            shutil.rmtree(entry)


def read_state(checkpoint: Path) -> State:
    return State(**read_object(checkpoint / STATE, ""))


def restore_random(checkpoint: Path, reader: int) -> None:
    """Draw on from where this reader of rows was; one that did not exist then goes its own way."""
    random = random_state(reader)
    known = HuggingFaceStorageReader(str(checkpoint)).read_metadata().state_dict_metadata
    if all(name in known for name in random):
        load(random, storage_reader=HuggingFaceStorageReader(str(checkpoint)), no_dist=True)  # not all ask
        set_random_state(random, reader)


def read(checkpoint: Path, tensors: dict[str, Any]) -> None:
    """Fill the tensors with what the checkpoint holds under their names; all processes of the run together.

    Raises UserError where it holds them under others: DeepSpeed's parts fit as many processes alone.
    """
    known = HuggingFaceStorageReader(str(checkpoint)).read_metadata().state_dict_metadata
    if not known.keys() >= tensors.keys():
        raise UserError(
            tr("{path} was written with another tune.sharding, or by another number of processes", path=checkpoint),
            tr("go on as the run was begun: the parts of tune.sharding=zero2 and zero3 fit nothing else"),
        )
    load(tensors, storage_reader=HuggingFaceStorageReader(str(checkpoint)), no_dist=not running())


def weights(model: nn.Module) -> dict[str, Any]:
    """The parameters that train and the buffers that are saved, by name; the rest comes with the base."""
    kept = set(model.state_dict())
    held = zero.parts(model) or {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    named = {f"model/{name}": value for name, value in held.items()}
    return named | {f"buffer/{name}": value for name, value in model.named_buffers() if name in kept}


def optimizer_state(model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Every tensor of the optimizer's state, under the name of its parameter; numbers as tensors of their own."""
    names = stepped(model)
    found: dict[str, Any] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            found |= flat(value, f"optimizer/{names[parameter]}/{key}")
    return found


def stepped(model: nn.Module) -> dict[Tensor, str]:
    """What an optimizer of the model may step, each with its name."""
    return {parameter: name for name, parameter in model.named_parameters()} | zero.rows(model)


def flat(value: Any, name: str) -> dict[str, Tensor]:
    """A tensor; of one that is made of several (8-bit states), those."""
    if isinstance(value, Tensor) and not isinstance(value, DTensor) and hasattr(value, "__tensor_flatten__"):
        parts, _ = value.__tensor_flatten__()
        return {f"{name}/{part}": getattr(value, part) for part in parts}
    return {name: value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)}


def set_numbers(model: nn.Module, optimizer: Optimizer, read: Mapping[str, Any]) -> None:
    """Put the numbers among an optimizer's state back from the tensors that stood for them."""
    names = stepped(model)
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if not isinstance(value, Tensor):
                state[key] = type(value)(read[f"optimizer/{names[parameter]}/{key}"].item())


def begin_state(optimizer: Optimizer) -> None:
    """Let an optimizer that took no step make the tensors of its state, moving nothing."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def state_size(optimizer: Optimizer, here: bool = False) -> int:
    """Bytes of the optimizer's state; `here`, of what this process holds of it."""
    values = (local(value) if here else value for state in optimizer.state.values() for value in state.values())
    return sum(size_of(value) for value in values if isinstance(value, Tensor))


def size_of(value: Tensor) -> int:
    return value.numel() * value.element_size()


def random_state(reader: int) -> dict[str, Tensor]:
    """This process's random numbers, on its CPU and its GPU; processes that read the same rows have the same."""
    found = {f"random/{reader}/cpu": torch.get_rng_state()}
    return found | ({f"random/{reader}/cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def set_random_state(state: Mapping[str, Tensor], reader: int) -> None:
    torch.set_rng_state(state[f"random/{reader}/cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state(state[f"random/{reader}/cuda"])
