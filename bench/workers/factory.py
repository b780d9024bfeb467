"""One run of LLaMA-Factory: factory FOLDER SETTINGS, with settings["which"] llamafactory or
llamafactory_neat_packing.

It is run whole (`run_exp`), but for its tokenizing: a row's instruction is its number, and its token ids are those that
all contenders are given. Packing is neat_packing: greedy, attention within an example.
"""

import json
import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_DISABLED="true")
sys.modules["torchaudio"] = module_from_spec(ModuleSpec("torchaudio", None))  # for speech, of which there is none here

import torch  # noqa: E402
from llamafactory.data.processor.supervised import SupervisedDatasetProcessor  # noqa: E402
from llamafactory.train.tuner import run_exp  # noqa: E402
from meter import Meter, given  # noqa: E402
from trainer import Timed, arguments, packed, report  # noqa: E402


def main() -> None:
    settings, rows = given()
    torch.set_num_threads(settings["threads"])
    folder, batch, meter = Path(sys.argv[1]), settings["batch"], Meter()
    asked = [{"instruction": str(number), "input": "", "output": "-"} for number in range(len(rows))]
    (folder / "numbers.json").write_text(json.dumps(asked), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "numbers.json"}}), encoding="utf-8")

    def encode(self: object, prompt: list[dict[str, str]], **_: object) -> tuple[list[int], list[int]]:
        row = rows[int(prompt[-1]["content"])]
        return list(row["ids"]), [-100] * row["read"] + row["ids"][row["read"] :]

    SupervisedDatasetProcessor._encode_data_example = encode
    length, sizes = packed(rows, batch)
    common = arguments(settings)
    del common["gradient_checkpointing"]
    packing = settings["which"] == "llamafactory_neat_packing"
    run_exp(
        {
            **common, **(sizes if packing else {}), "neat_packing": packing, "cutoff_len": length,
            "stage": "sft", "do_train": True, "model_name_or_path": settings["model"], "dataset_dir": str(folder),
            "dataset": "rows", "template": "default", "overwrite_cache": True, "preprocessing_num_workers": 1,
            "finetuning_type": "lora" if settings["lora"] else "full", "lora_rank": 8, "lora_alpha": 16,
            "lora_target": "all", "disable_gradient_checkpointing": True, "disable_shuffling": True,
            "flash_attn": "sdpa", "plot_loss": False, "overwrite_output_dir": True,
        },
        callbacks=[Timed(meter)],
    )  # fmt: skip
    report(meter, rows, batch, reordered=packing)


if __name__ == "__main__":
    main()
