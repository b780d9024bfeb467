"""The shapes of models that llama.cpp computes and we write, one file each.

A model has a shape when its tensors are those of the shape and its settings say nothing that the shape does not
know: what it is called does not matter.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tunesmith.errors import UserError
from tunesmith.export.gguf.shapes import bloom, gptneox, llama, qwen2, qwen3
from tunesmith.export.gguf.shapes.shape import Shape
from tunesmith.messages import tr

SHAPES: tuple[Shape, ...] = (qwen3.SHAPE, qwen2.SHAPE, llama.SHAPE, gptneox.SHAPE, bloom.SHAPE)
SPOKEN = "Llama, Mistral, Qwen2, Qwen3, GPT-NeoX, BLOOM"
BUFFERS = re.compile(r"(rotary_emb\.inv_freq|attention\.masked_bias|attention\.bias)$")  # kept in old files, computed


def weights_among(names: Iterable[str]) -> tuple[str, ...]:
    """The names without those of tables that a model computes by itself."""
    return tuple(name for name in names if not BUFFERS.search(name))


def shape_of(names: Iterable[str], config: Mapping[str, Any]) -> Shape:
    """The shape that tensors with these names and a model with this configuration have.

    Raises UserError, with the reason, when there is none.
    """
    names = weights_among(names)
    faults = {shape.architecture: shape.fault(names, config) for shape in SHAPES}
    for shape in SHAPES:
        if not faults[shape.architecture]:
            return shape
    nearest = min(SHAPES, key=lambda shape: shape.distance(names))
    raise UserError(
        tr("this model cannot be written as GGUF: {reason}", reason=faults[nearest.architecture]),
        tr("the shapes that can be written are those of {shapes}", shapes=SPOKEN),
    )
