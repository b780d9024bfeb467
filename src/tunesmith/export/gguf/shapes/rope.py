"""Rotary positions: what llama.cpp can be told of them."""

import math
from typing import Any

import numpy as np

from tunesmith.errors import UserError
from tunesmith.export.gguf.shapes.shape import Config, Fields, Floats
from tunesmith.messages import tr


def settings(config: Config) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, **(config.get("rope_parameters") or {})}


def fields(config: Config, tables: bool = False) -> Fields:
    """Base and scaling of the angles; `tables`: this shape of llama.cpp takes a table of factors.

    Raises UserError for a scaling that llama.cpp would not compute as the model does.
    """
    found = settings(config)
    written: Fields = {"rope.freq_base": float(found["rope_theta"])}
    kind = found["rope_type"]
    if kind == "linear":
        written |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(found["factor"])}
    elif kind == "yarn" and not unwritable_yarn(found):
        first = int(found.get("original_max_position_embeddings") or config["max_position_embeddings"])
        written |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(found["factor"]),
            "rope.scaling.original_context_length": first,
            "rope.scaling.yarn_beta_fast": float(found.get("beta_fast") or 32),
            "rope.scaling.yarn_beta_slow": float(found.get("beta_slow") or 1),
        }
    elif kind != "default" and not (kind == "llama3" and tables):
        raise UserError(
            tr("this model cannot be written as GGUF: llama.cpp does not know its rotary scaling {kind}", kind=kind),
            tr("the scalings that can be written are linear, yarn, and llama3 for Llama-shaped models"),
        )
    return written


def unwritable_yarn(found: dict[str, Any]) -> bool:
    """Variants of yarn that llama.cpp has no settings for."""
    return bool(
        found.get("mscale")
        or found.get("mscale_all_dim")
        or found.get("attention_factor")
        or not found.get("truncate", True)
    )


def factors(config: Config, turned: int) -> Floats | None:
    """llama3: [turned / 2] numbers that the frequencies are divided by (Dubey et al., 2024; Hugging Face's formula)."""
    found = settings(config)
    if found["rope_type"] != "llama3":
        return None
    frequency = found["rope_theta"] ** (-np.arange(0, turned, 2, dtype=np.float64) / turned)
    turns = found["original_max_position_embeddings"] * frequency / (2 * math.pi)
    slow, fast, factor = found["low_freq_factor"], found["high_freq_factor"], found["factor"]
    between = (turns - slow) / (fast - slow)
    smooth = 1 / ((1 - between) / factor + between)
    return np.where(turns < slow, factor, np.where(turns > fast, 1.0, smooth)).astype(np.float32)


def context(config: Config) -> int:
    """The longest text for which llama.cpp computes the same: where layers look back a window only, that window."""
    longest = int(config["max_position_embeddings"])
    window, layers = config.get("sliding_window"), config.get("layer_types")
    slides = "sliding_attention" in layers if layers else window is not None
    return min(longest, int(window)) if slides and window else longest
