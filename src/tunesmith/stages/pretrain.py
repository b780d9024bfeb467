"""Carry out a Pretrain stage: make the embedded base model from nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.recipe import Pretrain

if TYPE_CHECKING:
    from tunesmith.tune.watch import Watcher


def run(stage: Pretrain, out: Path, watch: "Watcher") -> dict[str, Any]:
    """Generate text, train a tokenizer and a model on it, and write both with a model card to `out`."""
    from tunesmith.models.nano.build import pretrain

    return {"model": str(out), **pretrain(out, stage.steps, stage.seed, watch)}
