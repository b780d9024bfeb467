"""One run of a peer: peer FOLDER SETTINGS, with settings["which"] trl, trl_packing, trl_padding_free or hf_grouped.

Rows are given tokenized, in order, unshuffled where the peer can (Hugging Face's Trainer grouped by length orders
them itself).
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_DISABLED="true")

import torch
from datasets import Dataset
from meter import Meter, given
from torch.utils.data import SequentialSampler
from trainer import Timed, arguments, packed, report
from transformers import AutoModelForCausalLM, AutoTokenizer


def in_order(trainer: type) -> type:
    class Ordered(trainer):
        def _get_train_sampler(self, *_: object) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

    return Ordered


def main() -> None:
    settings, rows = given()
    torch.set_num_threads(settings["threads"])
    which, batch, meter = settings["which"], settings["batch"], Meter()
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    common = arguments(settings)
    peft = None
    if settings["lora"]:
        from peft import LoraConfig

        peft = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    if which == "hf_grouped":
        from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

        if peft:
            from peft import get_peft_model

            model = get_peft_model(model, peft)
        data = Dataset.from_list(
            [
                {"input_ids": row["ids"], "labels": [-100] * row["read"] + row["ids"][row["read"] :],
                 "attention_mask": [1] * len(row["ids"])}
                for row in rows
            ]
        )  # fmt: skip
        grouped = TrainingArguments(**common, train_sampling_strategy="group_by_length")
        collator = DataCollatorForSeq2Seq(tokenizer, model=model)
        trainer = Trainer(model=model, args=grouped, train_dataset=data, data_collator=collator)
    else:
        from trl import SFTConfig, SFTTrainer

        longest = max(len(row["ids"]) for row in rows)
        data = Dataset.from_list(
            [
                {"input_ids": row["ids"], "completion_mask": [0] * row["read"] + [1] * (len(row["ids"]) - row["read"])}
                for row in rows
            ]
        )
        more = {"max_length": longest, "completion_only_loss": True}
        if which == "trl_packing":
            length, sizes = packed(rows, batch)
            more |= {"packing": True, "packing_strategy": "bfd", "max_length": length}
            common |= sizes
        if which == "trl_padding_free":
            more |= {"padding_free": True, "max_length": None}
        trainer = in_order(SFTTrainer)(
            model=model, args=SFTConfig(**common, **more), train_dataset=data, processing_class=tokenizer,
            peft_config=peft,
        )  # fmt: skip
    trainer.add_callback(Timed(meter))
    trainer.train()
    report(meter, rows, batch, reordered=which in ("trl_packing", "hf_grouped"))


if __name__ == "__main__":
    main()
