"""What all adapters of peft have in common."""

import warnings
from collections.abc import Sequence
from typing import Any, cast

from peft import PeftConfig, get_peft_model
from peft.utils import TrainableTokensWrapper
from torch import nn
from transformers import PreTrainedModel

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.surgery.grow_vocabulary import new_token_names

TOKEN_ROWS = "trainable_token_indices"  # module → rows; peft reads it from any kind's settings, LoRA's alone save it


def adapt(model: PreTrainedModel, config: PeftConfig, new: Sequence[int] = ()) -> PreTrainedModel:
    """Freeze the model and put peft's adapter into it; beside the adapter train the embedding rows of `new` tokens."""
    setattr(config, TOKEN_ROWS, new_token_names(model, new) or None)
    return apply(model, config)


def apply(model: PreTrainedModel, config: PeftConfig) -> PreTrainedModel:
    """The model with a new adapter of exactly these settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft speaks of what it settles by itself
        return cast(PreTrainedModel, get_peft_model(model, config))


def token_rows(model: Any) -> dict[str, list[int]]:
    """The embedding rows that were trained beside the adapter."""
    return getattr(model.active_peft_config, TOKEN_ROWS, None) or {}


def merge_rows(model: nn.Module) -> None:
    """Write the trained rows into their embeddings. peft does it when it merges LoRA, and fails at (IA)³."""
    for name, module in list(model.named_modules()):
        if isinstance(module, TrainableTokensWrapper):
            model.set_submodule(name, module.unload_and_optionally_merge_module(True, False, None))


def module_names(model: PreTrainedModel, wanted: str, setting: str) -> list[str]:
    """The module names in "a, b"; a name that no module of the model bears is refused."""
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    modules = [name for name, _ in model.named_modules() if name]
    missing = [name for name in names if not any(f".{module}".endswith(f".{name}") for module in modules)]
    if missing or not names:
        leaves = sorted({name.rsplit(".", 1)[-1] for name in modules})
        raise UserError(
            tr("{setting}: no module is called {names}", setting=setting, names=", ".join(missing) or repr(wanted)),
            tr("use some of {names}", names=", ".join(leaves)),
        )
    return names
