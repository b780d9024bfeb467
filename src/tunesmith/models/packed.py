"""Weights in a few bits as llm-compressor packs them. This is the one module that knows compressed-tensors."""

from importlib.util import find_spec
from typing import Any

from transformers import PretrainedConfig

from tunesmith.errors import missing_extra
from tunesmith.messages import tr

METHOD = "compressed-tensors"


def packed(config: PretrainedConfig) -> bool:
    """Are the weights in this model's file packed?"""
    return (getattr(config, "quantization_config", None) or {}).get("quant_method") == METHOD


def unpacking(config: PretrainedConfig) -> dict[str, Any]:
    """What from_pretrained is told so that packed weights are written out as they are read; nothing for plain ones.

    Left packed they would be written out at the first use all the same, and transformers 5.23 with compressed-tensors
    0.19 does not take a zero point for each group then.
    """
    if not packed(config):
        return {}
    if find_spec("compressed_tensors") is None:
        raise missing_extra("compressed-tensors", "quantize", tr("A model in packed 4 bits"))
    config.quantization_config = config.quantization_config | {"dequantize": True}
    return {"config": config}
