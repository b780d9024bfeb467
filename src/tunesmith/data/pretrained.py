"""Models that steps read texts with, loaded once a process: only safetensors, never code that comes with them."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.text.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


@cache
def causal(name: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """A language model and its tokenizer, by a folder, a hub id, or "nano"."""
    from transformers import AutoModelForCausalLM

    return load(AutoModelForCausalLM, path(name)), load_tokenizer(path(name))


@cache
def encoder(name: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """A model without a head and its tokenizer."""
    from transformers import AutoModel

    return load(AutoModel, path(name)), load_tokenizer(path(name))


def path(name: str) -> str:
    return str(import_module("tunesmith.models.nano").path()) if name == "nano" else name


def load(kind: Any, name: str) -> "PreTrainedModel":
    """In fp32 on the CPU, as it is stored on a GPU. Raises UserError where it cannot be read, or lacks weights."""
    import torch
    from safetensors import SafetensorError
    from transformers.utils import logging

    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"use_safetensors": True, "trust_remote_code": False, "output_loading_info": True}
    logging.disable_progress_bar()
    try:
        model, info = kind.from_pretrained(name, dtype="auto" if device == "cuda" else torch.float32, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            tr("the model {name} cannot be loaded: {reason}", name=name, reason=reason),
            tr("give a folder with config.json and *.safetensors, or a hub id; a hub id needs the network"),
        ) from error
    missing = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))  # an average needs no pooler
    if missing:
        raise UserError(
            tr(
                "the model {name} lacks {count} weights, the first is {key}",
                name=name,
                count=len(missing),
                key=missing[0],
            ),
            tr("give a model of the right kind, whose files are whole"),
        )
    return cast("PreTrainedModel", model.to(device).eval())
