"""Rounds the weights of a model to 4 bits with llm-compressor, in an environment that has it.

    python -I llmcompressor_worker.py ORDER.json

ORDER.json is tunesmith.export.quantize.Order. What came of it is written to the file that its `report` names:
{"error": ""}, or why it could not be done.
"""

import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main(words: list[str]) -> int:
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    order = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    try:
        quantize(order)
        reason = ""
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
    Path(order["report"]).write_text(json.dumps({"error": reason}), encoding="utf-8")
    return int(bool(reason))


def quantize(order: dict[str, Any]) -> None:
    """Write config.json and *.safetensors, the weights packed, the rest in 16 bits."""
    import llmcompressor
    import torch
    from torch.utils.data import DataLoader
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(order["model"], dtype="auto", local_files_only=True)
    data = {}
    if order["rows"]:
        rows: Any = list(batches(Path(order["rows"])))
        data = {"dataset": DataLoader(rows, batch_size=None), "num_calibration_samples": len(rows)}
    tokenizer = AutoTokenizer.from_pretrained(order["tokenizer"], local_files_only=True)
    llmcompressor.oneshot(model=model, processor=tokenizer, recipe=recipe(order, kept(model, order)), **data)
    if model.dtype == torch.float32:
        model.to(torch.bfloat16)
    model.save_pretrained(order["out"], save_compressed=True)


def batches(rows: Path) -> Iterator[dict[str, Any]]:
    """One conversation at a time, [1, T]: nothing is padded."""
    import torch

    with rows.open(encoding="utf-8") as lines:
        for line in lines:
            ids = torch.tensor([json.loads(line)])
            yield {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def kept(model: Any, order: dict[str, Any]) -> list[str]:
    """Output layers, by the names that this version of transformers and the one that gave the order have for them."""
    output = model.get_output_embeddings()
    return sorted({*order["ignore"], *(name for name, module in model.named_modules() if module is output)})


def recipe(order: dict[str, Any], ignore: list[str]) -> list[Any]:
    """llm-compressor's own objects for the method that was ordered."""
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier

    scheme = {
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": order["weights"]}},
        "ignore": ignore,
    }
    if order["method"] == "gptq":
        return [GPTQModifier(actorder="static" if order["act_order"] else None, **scheme)]
    if order["method"] == "awq":
        leave_memory_unpinned()
        return [AWQModifier(), QuantizationModifier(**scheme)]
    return [QuantizationModifier(**scheme)]


def leave_memory_unpinned() -> None:
    """AWQ pins memory for copies to an accelerator, in llm-compressor 0.14.0.1 even where there is none, and fails."""
    import torch
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.accelerator.is_available():
        IntermediatesCache.pin_memory = lambda *_: None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
