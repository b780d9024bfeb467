"""Adapters in the weights: the form that everything else reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch

from tunesmith.export.settings import EXACT, HALF, Limits
from tunesmith.export.target import Work
from tunesmith.export.torch_subject import TorchSubject, open_torch
from tunesmith.models.load import ADAPTER, base_of, load_folder, locate, quiet, read_config

Name = Literal["fp32", "bf16", "fp16"]
TYPES: dict[Name, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Merged:
    """A plain folder of safetensors with adapters in the weights, for transformers, vLLM and SGLang."""

    dtype: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: as the weights of the base are stored

    @property
    def limits(self) -> Limits:
        """In 32 bits nothing is lost; "auto" may turn out to be 16."""
        return EXACT if self.dtype == "fp32" else HALF

    def write(self, work: Work, folder: Path) -> None:
        quiet()
        kind = stored(work.model) if self.dtype == "auto" else TYPES[self.dtype]
        model: Any = load_folder(work.whole, "fp32")
        model.to(kind).save_pretrained(folder)
        work.renderer.tokenizer.save_pretrained(folder)

    def open(self, folder: Path) -> TorchSubject:
        return open_torch(folder)


def stored(model: str) -> torch.dtype:
    """The type of the weights of a model folder, or of the base below its adapters."""
    folder = locate(model)
    while (folder / ADAPTER).is_file():
        folder = locate(base_of(folder))
    return cast(torch.dtype | None, read_config(folder).dtype) or torch.float32
