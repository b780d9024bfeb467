"""Which columns of a matrix matter: the mean square of what each is multiplied with, on conversations of the user.

llama.cpp calls it an importance matrix (imatrix). Rounding errors are weighed by it, so that what is loud stays exact.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.errors import UserError
from tunesmith.export.gguf.shapes.shape import Floats
from tunesmith.export.gguf.write import Model, encoded, finish, gguf_name, name_map, package, put_all
from tunesmith.export.target import Work
from tunesmith.messages import tr
from tunesmith.records import Refusal

MOST = 32_768  # tokens that are read: more changes the means little


@dataclass(frozen=True, slots=True)
class Importance:
    """GGUF name of a matrix → sum over `tokens` tokens of the squares of each of its inputs [columns]."""

    sums: dict[str, Floats]
    tokens: int

    def means(self) -> dict[str, Floats]:
        return {name: (total / self.tokens).astype(np.float32) for name, total in self.sums.items()}


def measure(work: Work, model: Model) -> Importance:
    """Read the calibration conversations with the whole model and keep the squares that reach each matrix."""
    import torch
    from torch import Tensor, nn

    from tunesmith.models.load import load_model

    loaded = load_model(str(work.whole))
    names = matrix_names(model, [name for name, part in loaded.named_modules() if isinstance(part, nn.Linear)])
    sums: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            square = inputs[0].detach().double().square().flatten(0, -2).sum(0)
            sums[name] = sums[name] + square if name in sums else square

        return keep

    handles = [loaded.get_submodule(part).register_forward_pre_hook(hook(name)) for part, name in names.items()]
    tokens = 0
    with torch.inference_mode():
        for ids in rows(work, int(model.shape.fields(model.config)["context_length"])):
            loaded(input_ids=torch.tensor([ids]))
            tokens += len(ids)
            if tokens >= MOST:
                break
    for handle in handles:
        handle.remove()
    if not tokens:
        raise UserError(
            tr("none of the calibration conversations can be written with the model's template"),
            tr("give other conversations, or importance=false"),
        )
    return Importance({name: total.numpy().astype(np.float32) for name, total in sums.items()}, tokens)


def matrix_names(model: Model, modules: Sequence[str]) -> dict[str, str]:
    """Module of a linear layer → GGUF name of its matrix, for those that are quantized as matrices."""
    known, written = name_map(model.shape.architecture, model.layers), model.names()
    named = {part: gguf_name(known, f"{part}.weight".removeprefix(model.shape.prefix)) for part in modules}
    return {part: name for part, name in named.items() if name in written}


def rows(work: Work, longest: int) -> Iterator[tuple[int, ...]]:
    """Ids of the calibration conversations, as the model's template writes them, at most `longest` of each."""
    for rendered in work.renderer.render(islice(work.calibration, MOST)):
        if not isinstance(rendered, Refusal):
            yield from (example.ids[:longest] for example in rendered.examples)


def write_importance(path: Path, found: Importance, source: str) -> None:
    """The matrix as a GGUF of its own, which llama.cpp's quantizer takes with --imatrix."""
    gguf = package()
    writer = gguf.GGUFWriter(path, "imatrix")
    put_all(writer, {"general.type": "imatrix", "imatrix.datasets": [source]})
    put_all(writer, {"imatrix.chunk_count": 1, "imatrix.chunk_size": found.tokens})
    tensors = []
    for name, total in sorted(found.sums.items()):
        count = np.array([[found.tokens]], np.float32)
        for suffix, values in (("in_sum2", total[None]), ("counts", count)):
            writer.add_tensor_info(f"{name}.{suffix}", values.shape, values.dtype, values.nbytes)
            tensors.append(values)
    finish(writer, (encoded(values, "F32") for values in tensors))
