"""What each quantization costs: size of the weights, and how far a trained model is from itself afterwards.

    make setup-quantize && python -m bench.quantize [--json] [--model FOLDER] [--steps 600] [--rows 40000]

A small base, wider than the embedded one so that its rows fill blocks of 256 weights, is made from plain text and tuned
on practice instructions, then exported in every form that this installation can make; what is measured are the proofs
of `tunesmith export`, on conversations of the same kinds that it neither saw nor was calibrated on. Takes some forty
minutes on two cores, most of them training. With --json, one object.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.cli.main import main as tunesmith
from tunesmith.config import from_words
from tunesmith.errors import UserError
from tunesmith.export.exporting import export
from tunesmith.models.nano.build import Shape, pretrain
from tunesmith.models.nano.families import Task, generate

FORMS = (
    ("merged", "dtype=bf16"), ("rtn",), ("rtn", "symmetric=false"), ("gptq", "act_order=false"), ("gptq",),
    ("gptq", "symmetric=false"), ("awq",), ("awq", "symmetric=false"), ("gguf", "quant=F16"), ("gguf", "quant=Q8_0"),
    ("gguf", "quant=Q6_K"), ("gguf", "quant=Q6_K", "importance=false"), ("gguf", "quant=Q5_K_M"),
    ("gguf", "quant=Q5_K_M", "importance=false"), ("gguf", "quant=Q4_K_M"),
    ("gguf", "quant=Q4_K_M", "importance=false"), ("gguf", "quant=Q4_K_M", "quantizer=llamacpp"),
)  # fmt: skip
SHAPE = Shape(hidden=256, layers=4, heads=4, inner=768)
WEIGHTS = (".safetensors", ".gguf")
IMPORTANCE = "imatrix.gguf"  # lies beside the model and is none of it
FIGURES = ("mean_kl", "next_token_agreement", "greedy_agreement", "loss_change", "score_change")


class Silent:
    """A Watch that shows nothing, of an export or of a training."""

    def begin(self, steps: int, done: int) -> None:
        pass

    def step(self, report: Any) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def counting(self, title: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: None


def write_rows(file: Path, tasks: Iterable[Task]) -> str:
    rows = [{"instruction": task.instruction, "input": task.input or "", "output": task.answer} for task in tasks]
    file.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return str(file)


def others(count: int, known: list[Task]) -> list[Task]:
    """Tasks of the same kinds and words, none of which is known."""
    asked = {(task.instruction, task.input) for task in known}
    return [task for task in generate("train", count, 1) if (task.instruction, task.input) not in asked]


def tuned(folder: Path, steps: int, tasks: list[Task]) -> str:
    """A base after `steps` of plain text, and one pass over practice instructions."""
    pretrain(folder / "base", steps, 0, Silent(), SHAPE)
    data, out = write_rows(folder / "train.json", tasks), str(folder / "tuned")
    sys.argv = ["tunesmith", "tune", "--base", str(folder / "base"), "--data", data, "--out", out]
    sys.argv += ["template=chatml", "tune.epochs=1", "tune.lr=1e-3", "tune.batch_size=32"]
    try:
        tunesmith()
    except SystemExit as left:
        if left.code:
            raise
    return out


def measured(model: str, form: tuple[str, ...], data: str, folder: Path) -> dict[str, Any]:
    """One line of the table; where a form cannot be made here, why."""
    to, *words = form
    name = " ".join(form)
    print(name, file=sys.stderr)
    try:
        settings = from_words([*words, "held_out=256", "calibration=128"])
        made = export(model, to, folder / name.replace(" ", "-"), [data], settings, Silent())
    except UserError as error:
        return {"form": name, "skipped": error.message}
    there = (file for file in made.out.iterdir() if file.suffix in WEIGHTS and file.name != IMPORTANCE)
    size = sum(file.stat().st_size for file in there)
    proofs = {proof.name: proof.measured for proof in made.proofs}
    return {
        "form": name, "bytes": size, "seconds": made.seconds, "passed": made.passed,
        **{figure: proofs.get(figure) for figure in FIGURES},
        "loss": next(proof.detail for proof in made.proofs if proof.name == "loss_change"),
        "score": next((proof.detail for proof in made.proofs if proof.name == "score_change"), ""),
    }  # fmt: skip


def table(lines: list[dict[str, Any]]) -> str:
    head = "| form | MB | seconds | mean KL | same next token | same answers | loss | right answers | verdict |"
    rows = [head, "|" + "---|" * head.count(" | ") + "---|"]
    for line in lines:
        if reason := line.get("skipped"):
            rows.append(f"| {line['form']} | {reason} |")
            continue
        verdict = "passed" if line["passed"] else "refused"
        rows.append(
            f"| {line['form']} | {line['bytes'] / 1e6:.2f} | {line['seconds']:.0f} | {line['mean_kl']:.2g} "
            f"| {line['next_token_agreement']:.1%} | {line['greedy_agreement']:.1%} | {line['loss'].split(',')[0]} "
            f"| {line['score'].split(' (')[0]} | {verdict} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", help="a tuned model; by default one is tuned")
    parser.add_argument("--steps", type=int, default=600, help="steps of 4,096 tokens of plain text before")
    parser.add_argument("--rows", type=int, default=40_000, help="instructions to tune on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = list(generate("train", options.rows, 0))
        model = options.model or tuned(folder, options.steps, tasks)
        data = write_rows(folder / "held.json", others(2_000, tasks))
        lines = [measured(model, form, data, folder) for form in FORMS]
    print(json.dumps({"forms": lines}) if options.json else table(lines))


if __name__ == "__main__":
    main()
