"""Everything that the rest of a run depends on, in one folder that is written whole.

A checkpoint is a model folder (so it can chat) with `state.json` and `training.pt` beside. The links `last` and
`best` in checkpoints/ are swapped in one move; what neither points to is removed.
"""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from torch.optim import Optimizer
from transformers import PreTrainedModel

from tunesmith.artifact import sync_tree, write_json
from tunesmith.models.load import load_folder, read_object
from tunesmith.tune.save import Saver

STATE = "state.json"
TRAINING = "training.pt"


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands.

    identity   what the run depends on besides the code; a resumed run must have the same
    precision  as it was chosen at the start
    way        the shortcuts that were proved at the start
    seconds    of training so far
    proofs     as JSON, made before the first step
    """

    step: int
    identity: dict[str, Any]
    precision: str
    seconds: float
    proofs: list[dict[str, Any]]
    way: dict[str, bool]
    best_step: int | None = None
    best_loss: float | None = None


def write(
    folder: Path, model: PreTrainedModel, optimizer: Optimizer, state: State, save: Saver, extra: dict[str, Any]
) -> None:
    """Add a checkpoint to `folder` and let `last` (and `best`, if it is that) point to it; `extra` is kept as it is."""
    name = f"step-{state.step:06d}"
    temporary = folder / f".{name}"
    for leftover in (temporary, folder / name):
        shutil.rmtree(leftover, ignore_errors=True)
    save(model, temporary)
    store({"optimizer": optimizer.state_dict(), "random": random_state(), "extra": extra}, temporary / TRAINING)
    write_json(temporary / STATE, asdict(state))
    sync_tree(temporary)
    temporary.rename(folder / name)
    point(folder / "last", name)
    if state.best_step is not None:
        point(folder / "best", f"step-{state.best_step:06d}")
    prune(folder)


def store(value: dict[str, Any], path: Path) -> None:
    """torch.save, but a full disk is an OSError."""
    try:
        torch.save(value, path)
    except RuntimeError as error:
        raise OSError(str(error)) from error


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


def restore(checkpoint: Path, model: PreTrainedModel, optimizer: Optimizer) -> None:
    """Put the weights, the optimizer and the random numbers back where they were."""
    restore_weights(checkpoint, model)
    training = torch.load(checkpoint / TRAINING, map_location="cpu", weights_only=True)
    optimizer.load_state_dict(training["optimizer"])
    torch.set_rng_state(training["random"]["cpu"])
    if torch.cuda.is_available() and training["random"]["cuda"]:
        torch.cuda.set_rng_state_all(training["random"]["cuda"])


def read_extra(checkpoint: Path) -> dict[str, Any]:
    return dict(torch.load(checkpoint / TRAINING, map_location="cpu", weights_only=True)["extra"])


def restore_weights(checkpoint: Path, model: PreTrainedModel) -> None:
    """Load the weights of a checkpoint into a model of the same shape."""
    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, load_file(checkpoint / "adapter_model.safetensors"))
    else:
        model.load_state_dict(load_folder(checkpoint, "fp32").state_dict())


def random_state() -> dict[str, Any]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}
