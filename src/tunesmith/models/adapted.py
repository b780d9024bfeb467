"""A model that an adapter changed: the model within, and the soft prompt that may stand before its text.

Prefix tuning, prompt tuning and P-tuning put places before the text. Those never see the text, so all that they do
to it lies in their keys and values. We hand these to the model as a cache that is already filled: tokens and logits
keep their columns, and chat goes on from the same cache. A proof compares this with what peft's wrapper computes.
"""

from typing import Any, cast

from torch import Tensor
from transformers import Cache, PreTrainedModel


def bare(model: PreTrainedModel) -> PreTrainedModel:
    """The model within an adapter; its layers are the adapted ones."""
    return cast(Any, model).get_base_model() if hasattr(model, "get_base_model") else model


def prompt_length(model: PreTrainedModel) -> int:
    """Places that a soft prompt takes before the text; 0 without one."""
    settings = getattr(model, "active_peft_config", None)
    return int(settings.num_virtual_tokens) if settings is not None and settings.is_prompt_learning else 0


def before(model: PreTrainedModel, rows: int) -> Cache | None:
    """Keys and values of the soft prompt before each of `rows` rows, with gradient; None without a soft prompt.

    A forward pass writes into it: every pass needs its own.
    """
    if not prompt_length(model):
        return None
    found: Tensor | Cache = cast(Any, model).get_prompt(batch_size=1)
    if isinstance(found, Tensor):  # embeddings [1, places, H]
        found = cast(Cache, bare(model).base_model(inputs_embeds=found, use_cache=True).past_key_values)
    found.batch_repeat_interleave(rows)
    return found


def prompted(model: PreTrainedModel, inputs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the model within, behind the soft prompt; nothing without one."""
    cache = before(model, len(inputs["input_ids"]))
    if cache is None:
        return {}
    moved = {"position_ids": inputs["position_ids"] + prompt_length(model)} if "position_ids" in inputs else {}
    return inputs | moved | {"past_key_values": cache}


def ask(model: PreTrainedModel, **inputs: Any) -> Any:
    """model(**inputs), with the soft prompt, if there is one, before every row."""
    prompt = prompted(model, inputs)
    return bare(model)(**prompt) if prompt else model(**inputs)
