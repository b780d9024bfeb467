"""TRL's preparation of the first rows of a folder: prepare_trl FOLDER COUNT. Runs where there is no Tunesmith."""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_DISABLED="true", TOKENIZERS_PARALLELISM="false")

import json
import sys
import time
from itertools import islice
from pathlib import Path

from datasets import Dataset
from meter import peak_bytes
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    with (folder / "rows.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, count)]
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape))
    settings = SFTConfig(output_dir=str(folder / "out"), use_cpu=True, bf16=False, report_to="none", max_length=None)
    trainer = SFTTrainer(
        model=model, args=settings, train_dataset=Dataset.from_list(rows[:2]), processing_class=tokenizer
    )
    data = Dataset.from_list(rows)
    start = time.process_time()
    made = trainer._prepare_dataset(data, tokenizer, settings, False, None, "train")
    seconds = time.process_time() - start
    found = {
        "records": len(made), "seconds": seconds, "tokens": sum(map(len, made["input_ids"])),
        "peak_bytes": peak_bytes(),
    }  # fmt: skip
    print("RESULT " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
