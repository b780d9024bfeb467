"""A model without its weights, and where in its files each of them lies: several processes then read a part each.

A weight takes no memory (torch's meta device) until it is filled. Buffers that no file holds are computed as
from_pretrained computes them. What from_pretrained would rename, merge or cut while it reads is refused: `UnfitError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import Parameter
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig, PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter

from tunesmith.messages import tr
from tunesmith.models.load import (
    ADAPTER,
    BROKEN,
    brief,
    check_files,
    locate,
    quiet,
    read_config,
    read_object,
    say_what_is_tied,
)

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class UnfitError(Exception):
    """Why this model has to be read whole."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a weight lies."""

    file: Path
    name: str

    def read(self, dtype: torch.dtype, rows: slice = slice(None)) -> Tensor:
        """A copy of some of its rows: what safetensors gives may be the file itself."""
        with safe_open(self.file, framework="pt") as handle:
            found = handle.get_slice(self.name)
            part = found[rows] if found.get_shape() else handle.get_tensor(self.name)
            return cast(Tensor, part).to(dtype, copy=True)


def skeleton(base: str) -> tuple[PreTrainedModel, dict[Parameter, Place]]:
    """The model called `base` in fp32 and evaluation mode, its weights on the meta device, and where those lie.

    Raises UnfitError where the files do not hold them one by one, and UserError where there is no readable model.
    """
    folder = locate(base)
    if (folder / ADAPTER).is_file():
        raise UnfitError(tr("it is an adapter, which is merged into its base first"))
    check_files(folder)
    quiet()
    config = read_config(folder)
    if getattr(config, "quantization_config", None):
        raise UnfitError(tr("its weights are packed"))
    kind: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    try:
        with torch.device("meta"):
            model: PreTrainedModel = kind.from_config(config, dtype=torch.float32)
        compute_buffers(model)
        places = matched(model, tensors(folder))
    except BROKEN as error:
        raise UnfitError(brief(error)) from error
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    say_what_is_tied(model)
    return model.eval(), places


def compute_buffers(model: PreTrainedModel) -> None:
    """Make those that are in no file, rotary frequencies for example, by the model's own rule."""
    for name, buffer in list(model.named_non_persistent_buffers()):
        owner, _, own = name.rpartition(".")
        model.get_submodule(owner).register_buffer(own, torch.empty_like(buffer, device="cpu"), persistent=False)
    with torch.random.fork_rng([]):
        model.initialize_weights()  # weights are on the meta device, where it does nothing


def tensors(folder: Path) -> dict[str, tuple[Place, Sequence[int]]]:
    """Place and shape of all that a model's safetensors files hold, by name."""
    found = {}
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as handle:
            for name in handle.keys():  # noqa: SIM118  # a handle is no mapping
                found[name] = Place(file, name), handle.get_slice(name).get_shape()
    return found


def weight_files(folder: Path) -> list[Path]:
    """The one file, or those of the index; others may lie beside, in other forms."""
    if (folder / INDEX).is_file():
        return [folder / name for name in sorted(set(read_object(folder / INDEX, "")["weight_map"].values()))]
    return [folder / SINGLE]


def matched(model: PreTrainedModel, held: Mapping[str, tuple[Place, Sequence[int]]]) -> dict[Parameter, Place]:
    """Each parameter's place; persistent buffers are filled."""
    if any(isinstance(change, WeightConverter) for change in get_model_conversion_mapping(model)):
        raise UnfitError(tr("its weights are merged or cut while they are read"))
    prefix = f"{model.base_model_prefix}."
    places: dict[Parameter, Place] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        place, shape = held.get(name) or held.get(name.removeprefix(prefix)) or (None, ())
        if place is None:
            continue
        if tuple(shape) != tuple(value.shape) or value in places:
            raise UnfitError(tr("its file holds {name} in another form", name=name))
        if isinstance(value, Parameter):
            places[value] = place
        else:
            owner, _, own = name.rpartition(".")
            model.get_submodule(owner).register_buffer(own, place.read(value.dtype))
    lacking = [name for name, value in model.named_parameters() if value not in places]
    lacking += [name for name, value in model.named_buffers() if value.is_meta]
    if lacking:
        raise UnfitError(tr("its file lacks {name}", name=lacking[0]))
    return places


def fill(parameter: Parameter, value: Tensor) -> None:
    """Give a parameter a value (of another device, or a stand-in); whoever holds it, holds it still."""
    torch.utils.swap_tensors(parameter, Parameter(value, parameter.requires_grad))


def stand_in(parameters: Sequence[Parameter]) -> None:
    """Let weights look as if they were on the CPU, at the price of one number each.

    What is put beside them is then made there, of the same random numbers as beside real ones.
    """
    for parameter in parameters:
        fill(parameter, torch.zeros((), dtype=parameter.dtype).expand(parameter.shape))


def hollow(parameters: Sequence[Parameter]) -> None:
    """Put them (back) on the meta device."""
    for parameter in parameters:
        fill(parameter, torch.empty(parameter.shape, dtype=parameter.dtype, device="meta"))
