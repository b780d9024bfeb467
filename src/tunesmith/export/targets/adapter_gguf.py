"""The target `adapter-gguf`: a LoRA adapter that llama.cpp puts on its base while it runs."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.errors import UserError
from tunesmith.export.gguf.mix import QUANTS, QuantName
from tunesmith.export.gguf.modelfile import write_modelfile
from tunesmith.export.gguf.shapes.shape import Floats
from tunesmith.export.gguf.vocabulary import choose
from tunesmith.export.gguf.write import (
    Folder,
    Model,
    encoded,
    finish,
    gguf_name,
    name_map,
    open_folder,
    open_model,
    package,
    put_all,
    write_model,
)
from tunesmith.export.settings import FOUR_BITS, Limits
from tunesmith.export.target import Work
from tunesmith.export.targets.gguf import CONTEXT, LIMITS, described, notes
from tunesmith.messages import tr
from tunesmith.models.llamacpp import LlamaCpp, open_gguf

PAIR = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")
# Settings of LoRA that GGUF has no words for, and what they must be.
PLAIN: dict[str, tuple[Any, ...]] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}),
    "alora_invocation_tokens": (None, []),
    "target_parameters": (None, []),
    "fan_in_fan_out": (False, None),
}


@dataclass(frozen=True, slots=True)
class AdapterGguf:
    """A LoRA adapter as GGUF, beside the base that it goes on."""

    base_quant: QuantName = "F16"  # precision of the base: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M or Q4_K_M

    @property
    def limits(self) -> Limits:
        """What may be lost at the precision of the base."""
        return LIMITS.get(QUANTS[self.base_quant].base, FOUR_BITS)

    def write(self, work: Work, folder: Path) -> None:
        """adapter.gguf, base.gguf (with the tokenizer and the template of the adapter) and a Modelfile for both."""
        from tunesmith.models.load import ADAPTER, BASE, base_of, locate, read_object

        source = locate(work.model)
        if not (source / ADAPTER).is_file():
            raise UserError(tr("{model} is no adapter", model=work.model), tr("export it with --to gguf"))
        settings = read_object(source / ADAPTER, tr("train the adapter again"))
        note = read_object(source / BASE, "") if (source / BASE).is_file() else {}
        base = open_model(locate(base_of(source, note, settings)))
        require_plain(settings, note, base)
        write_adapter(folder / "adapter.gguf", open_folder(source), settings, base)
        words = choose(work.renderer.tokenizer, int(base.config["vocab_size"]))
        files = write_model(folder / "base.gguf", base, self.base_quant, described(work, base, words))
        told = notes(words, files)
        write_modelfile(folder / "Modelfile", files[0], work.renderer, work.whole, told, adapter="adapter.gguf")

    def open(self, folder: Path) -> LlamaCpp:
        """The base with the adapter on it, keys and values in full precision."""
        import torch

        threads, adapter = torch.get_num_threads(), folder / "adapter.gguf"
        return open_gguf(folder / "base.gguf", context=CONTEXT, cache="f32", threads=threads, adapter=adapter)


def require_plain(settings: Mapping[str, Any], note: Mapping[str, Any], base: Model) -> None:
    """Raise UserError where the adapter changes something that a GGUF adapter cannot hold."""
    cure = tr("merge it and export the whole: --to gguf")
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise UserError(tr("a GGUF adapter is a LoRA, and this one is {kind}", kind=kind), cure)
    for name, allowed in PLAIN.items():
        if name in settings and settings[name] not in allowed:
            raise UserError(
                tr("a GGUF adapter cannot hold {name}={value}", name=name, value=json.dumps(settings[name])), cure
            )
    grown = int(note.get("vocabulary") or 0)
    if note.get("token_rows") or grown > int(base.config["vocab_size"]):
        raise UserError(tr("this adapter has trained embedding rows of new tokens, which GGUF cannot hold"), cure)


def write_adapter(path: Path, folder: Folder, settings: Mapping[str, Any], base: Model) -> None:
    """The pairs of the adapter under the names of the base's matrices."""
    pairs = adapter_pairs(folder)
    known = name_map(base.shape.architecture, base.layers)
    writer = package().GGUFWriter(path, base.shape.architecture)
    alpha = float(settings["lora_alpha"])
    put_all(writer, {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": alpha})
    tensors: list[Floats] = []
    for module, (left, right) in sorted(pairs.items()):
        name = gguf_name(known, f"{module}.weight".removeprefix(base.shape.prefix))
        a, b = folder.read(left), folder.read(right)
        # llama.cpp multiplies by alpha / rank; what peft does besides goes into B.
        factor = np.float32(scale(settings, module, len(a)) * len(a) / alpha)
        for side, values in (("lora_a", a), ("lora_b", base.shape.arrange(name, b, base.config) * factor)):
            writer.add_tensor_info(f"{name}.{side}", values.shape, values.dtype, values.nbytes)
            tensors.append(values)
    finish(writer, (encoded(values, "F32") for values in tensors))


def adapter_pairs(folder: Folder) -> dict[str, tuple[str, str]]:
    """Module of the base → names of its A and B."""
    found: dict[str, dict[str, str]] = {}
    for name in folder.files:
        matched = PAIR.match(name)
        if matched is None:
            raise UserError(
                tr("a GGUF adapter cannot hold the tensor {name}", name=name),
                tr("merge it and export the whole: --to gguf"),
            )
        found.setdefault(matched["module"], {})[matched["side"]] = name
    return {module: (sides["A"], sides["B"]) for module, sides in found.items()}


def scale(settings: Mapping[str, Any], module: str, rank: int) -> float:
    """What peft multiplies B A with, in this module."""
    alpha = float(settings["lora_alpha"])
    for pattern, own in (settings.get("alpha_pattern") or {}).items():
        if re.search(rf"(.*\.)?({pattern})$", module):
            alpha = float(own)
            break
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)
