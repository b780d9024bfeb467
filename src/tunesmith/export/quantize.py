"""Weights in 4 bits by llm-compressor, which needs other packages than we do and runs in an environment of its own.

What is written is a folder in the compressed-tensors format, which transformers and vLLM read: linear layers packed,
all else (embeddings, output layer, norms) in 16 bits.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM

import tunesmith
from tunesmith.artifact import write_json, write_text
from tunesmith.errors import UserError
from tunesmith.export.target import Work
from tunesmith.messages import tr
from tunesmith.models.load import quiet, read_config, read_object
from tunesmith.text.render import Rendered

BITS = 4
SMALLEST = 32  # weights that share a scale; the kernels of vLLM take no fewer
LONGEST = 2048  # tokens of a conversation that is calibrated with, as Frantar et al., 2022
PYTHON = ".venv-quantize/bin/python"
SETUP = "make setup-quantize"
WORKER = Path(__file__).parent / "workers" / "llmcompressor_worker.py"


@dataclass(frozen=True, slots=True)
class Rounding:
    """How weights are rounded.

    method     "rtn", "gptq" or "awq"
    group      weights of a row that share one scale
    symmetric  the 16 levels lie around 0; otherwise each group has a zero point of its own
    act_order  of gptq: the columns that matter most are rounded first
    """

    method: str
    group: int
    symmetric: bool
    act_order: bool = False

    @property
    def calibrated(self) -> bool:
        return self.method != "rtn"


@dataclass(frozen=True, slots=True)
class Order:
    """What the worker is told, as JSON: paths, and the words of llm-compressor.

    rows    a file with one conversation a line, as a list of ids; None for a method that looks at none
    report  the file in which it says what came of it
    """

    method: str
    act_order: bool
    model: str
    tokenizer: str
    rows: str | None
    out: str
    report: str
    ignore: tuple[str, ...]
    weights: dict[str, Any]


def quantize(work: Work, folder: Path, rounding: Rounding, python: str = "") -> None:
    """Fill `folder` with the model in 4 bits, its tokenizer, template and stop ids.

    Raises UserError for a model that this cannot be done to, without conversations to calibrate with, without the
    environment, and where llm-compressor fails.
    """
    interpreter = environment(python)
    layers, head = linear_layers(work.whole)
    weights = scheme(rounding, set(layers.values()))
    work.renderer.tokenizer.save_pretrained(folder)
    with TemporaryDirectory(dir=folder.parent) as name:
        scratch = Path(name)
        rows = write_rows(work, scratch / "rows.jsonl") if rounding.calibrated else None
        order = Order(
            method=rounding.method,
            act_order=rounding.act_order,
            model=str(work.whole),
            tokenizer=str(folder),
            rows=str(rows) if rows else None,
            out=str(scratch / "out"),
            report=str(scratch / "report.json"),
            ignore=head,
            weights=weights,
        )
        run(interpreter, order, scratch)
        take(scratch / "out", work.whole, folder)


def environment(python: str) -> Path:
    """The Python that has llm-compressor: the one that was named, or that of `make setup-quantize`."""
    if python:
        if not Path(python).is_file():
            raise UserError(tr("python={path}: there is no such file", path=python), tr("leave it out, or mend it"))
        return Path(python).absolute()
    for place in (Path.cwd(), Path(tunesmith.__file__).resolve().parents[2]):
        if (place / PYTHON).is_file():
            return place / PYTHON
    raise UserError(
        tr("4 bits are made by llm-compressor, in an environment of its own, which is not there"),
        tr("{command} makes it (1.5 GB), or name another with python=PATH", command=SETUP),
    )


def linear_layers(folder: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Name → width (length of a row) of the layers to round; and the names of output layers, which are left alone.

    Raises UserError for a model that is quantized already, or has no such layers.
    """
    config = read_config(folder)
    if getattr(config, "quantization_config", None):
        raise UserError(tr("{folder} is quantized already", folder=folder), tr("export the model that it was made of"))
    quiet()
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
    output = model.get_output_embeddings()
    found = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    layers = {name: module.in_features for name, module in found.items() if module is not output}
    if not layers:
        raise UserError(
            tr("this model ({kind}) has no linear layers whose weights could be rounded", kind=type(model).__name__),
            tr("use --to merged or --to gguf"),
        )
    return layers, tuple(name for name, module in found.items() if module is output)


def scheme(rounding: Rounding, widths: Collection[int]) -> dict[str, Any]:
    """The weights' format in the words of compressed-tensors; says aloud where the group had to be another."""
    group = fitting(rounding.group, widths)
    if group != rounding.group:
        given = {
            "group": rounding.group,
            "width": next(width for width in sorted(widths) if width % rounding.group),
            "smaller": group,
        }
        if group:
            say(tr("group={group} does not divide rows of {width} weights: {smaller} share a scale instead", **given))
        else:
            say(tr("group={group} does not divide rows of {width} weights: each row shares one scale instead", **given))
    return {
        "num_bits": BITS,
        "type": "int",
        "symmetric": rounding.symmetric,
        "dynamic": False,
        "strategy": "group" if group else "channel",
        "group_size": group or None,
    }


def fitting(group: int, widths: Collection[int]) -> int:
    """The largest of group, group/2, … that divides all widths; 0 where none down to 32 does.

    128, {192, 512} -> 64
    """
    while group >= SMALLEST:
        if not any(width % group for width in widths):
            return group
        group //= 2
    return 0


def write_rows(work: Work, file: Path) -> Path:
    """The calibration conversations as ids, rendered as in training."""
    rows = list(examples(work))
    if not rows:
        raise UserError(
            tr("there are no conversations to calibrate with"),
            tr("give some with --data, or use --to rtn, which needs none"),
        )
    if long := sum(len(row) > LONGEST for row in rows):
        say(tr("{count} conversations are calibrated with only up to token {most}", count=long, most=LONGEST))
    write_text(file, "".join(f"{json.dumps(row[:LONGEST])}\n" for row in rows))
    return file


def examples(work: Work) -> Iterator[list[int]]:
    for found in work.renderer.render(work.calibration):
        if isinstance(found, Rendered):
            yield from (list(example.ids) for example in found.examples)


def run(python: Path, order: Order, scratch: Path) -> None:
    """Run the worker, whose progress goes to stderr as it comes. UserError with its reason if it fails."""
    write_json(scratch / "order.json", asdict(order))
    quietly = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_MININTERVAL": "1"}
    done = subprocess.run(
        [str(python), "-I", str(WORKER), str(scratch / "order.json")],
        env=os.environ | quietly | {"LLM_COMPRESSOR_LOG_LEVEL": "ERROR"},
        stdin=subprocess.DEVNULL,
        stdout=2,
        check=False,
    )
    report = Path(order.report)
    if done.returncode == 0 and report.is_file():
        return
    ended = tr("it ended with code {code}, perhaps for want of memory", code=done.returncode)
    reason = read_object(report, "")["error"] if report.is_file() else ended
    raise UserError(
        tr("llm-compressor could not quantize {model}: {reason}", model=order.model, reason=reason),
        tr("its messages stand above; {command} makes the environment that is known to work", command=SETUP),
    )


def take(made: Path, whole: Path, folder: Path) -> None:
    """The packed weights and what is known of them; the rest of config.json, and the stop ids, stay the model's own."""
    for file in made.glob("*.safetensors*"):
        shutil.move(file, folder / file.name)
    theirs, ours = (read_object(place / "config.json", "") for place in (made, whole))
    changed = {name: theirs[name] for name in ("dtype", "quantization_config")}
    write_json(folder / "config.json", ours | changed)
    stops = whole / "generation_config.json"
    if stops.is_file():
        shutil.copyfile(stops, folder / stops.name)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
