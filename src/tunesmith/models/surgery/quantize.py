"""A base in 4 bits. This is the one module that knows bitsandbytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr
from tunesmith.models.adapted import bare
from tunesmith.models.surgery.adapter import apply

BLOCK = 64  # weights that share one scale


@dataclass(frozen=True, slots=True)
class Quantize4bit:
    """Hold the weights of the linear layers, save the output layer's, as 4-bit NormalFloats (Dettmers et al., 2023).

    This surgery is done while weights are read, one by one: the whole base is never in memory unquantized.

    double  the scales of the blocks are kept in 8 bits, not in 32
    """

    double: bool = True

    def loading(self) -> dict[str, Any]:
        """What from_pretrained is told. It quantizes on the CPU, so that every machine gets the same 4 bits."""
        try:
            import bitsandbytes  # noqa: F401
        except ImportError:
            raise missing_extra("bitsandbytes", "qlora", tr("A base in 4 bits")) from None
        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=self.double)
        return {"quantization_config": config, "device_map": {"": "cpu"}}

    def settle(self, model: PreTrainedModel) -> None:
        """Compute in the precision of the run, and leave the weights as they are.

        The layers would keep to the type of the first input that they see, and on some CPUs repack their weights
        between steps into a form without gradient. UserError: rows that are no whole number of blocks, whose scales
        bitsandbytes mixes up on a CPU.
        """
        for layer in quantized_layers(model):
            if layer.in_features % BLOCK:
                raise UserError(
                    tr(
                        "a weight of this model has rows of {width} numbers, which {block} do not divide into blocks",
                        width=layer.in_features,
                        block=BLOCK,
                    ),
                    tr("set adapter=lora"),
                )
            layer.compute_dtype, layer.compute_type_is_set = None, True
            layer.support_avx512bf16_for_cpu = False
            layer.register_forward_pre_hook(as_autocast)

    def note(self) -> dict[str, Any]:
        """For base.json, so that an adapter is loaded on what it was trained on."""
        return {"type": "nf4", "double": self.double}


def quantization(model: PreTrainedModel) -> Quantize4bit | None:
    """How the model was quantized, if it was."""
    config = getattr(bare(model).config, "quantization_config", None)
    return Quantize4bit(config.bnb_4bit_use_double_quant) if isinstance(config, BitsAndBytesConfig) else None


def quantized_layers(model: nn.Module) -> Iterator[Any]:
    from bitsandbytes.nn.modules import Linear4bit

    return (module for module in model.modules() if isinstance(module, Linear4bit))


def as_autocast(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What autocast does to the input of every linear layer that it knows."""
    kind = inputs[0].device.type
    if not torch.is_autocast_enabled(kind):
        return inputs
    return inputs[0].to(torch.get_autocast_dtype(kind)), *inputs[1:]


def dequantized(model: PeftModel) -> PeftModel:
    """The same adapter on the same weights, in which every 4-bit number is written out: merging then loses nothing."""
    config, learnt = model.peft_config["default"], get_peft_model_state_dict(model, save_embedding_layers=False)
    base = cast(Any, model).unload().dequantize()
    again = cast(PeftModel, apply(base, config))
    set_peft_model_state_dict(again, learnt)
    return again
