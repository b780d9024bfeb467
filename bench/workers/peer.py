"""One run of a peer: peer FOLDER SETTINGS, with settings["which"] trl, trl_packing, trl_padding_free or hf_grouped.

Gradient checkpointing is off for all, since ours is. Rows are given tokenized, in order, unshuffled where the peer
can (Hugging Face's Trainer grouped by length orders them itself).
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_DISABLED="true")

import torch
from datasets import Dataset
from meter import Meter, given, sizes
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback


class Timed(TrainerCallback):
    """Reports each optimizer step to a meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def on_step_begin(self, *_: object, **__: object) -> None:
        self.meter.begin()

    def on_step_end(self, *_: object, **__: object) -> None:
        self.meter.end()

    def on_log(self, args: object, state: object, control: object, logs: dict | None = None, **_: object) -> None:
        if logs and "loss" in logs:
            self.meter.losses.append(logs["loss"])


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
    common = {
        "output_dir": settings["out"], "per_device_train_batch_size": batch // 2, "gradient_accumulation_steps": 2,
        "num_train_epochs": 1, "learning_rate": settings["lr"], "lr_scheduler_type": "constant", "logging_steps": 1,
        "save_strategy": "no", "report_to": "none", "use_cpu": True, "bf16": settings["precision"] == "bf16",
        "gradient_checkpointing": False, "disable_tqdm": True, "optim": "adamw_torch_fused",
    }  # fmt: skip
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
        arguments = TrainingArguments(**common, train_sampling_strategy="group_by_length")
        collator = DataCollatorForSeq2Seq(tokenizer, model=model)
        trainer = Trainer(model=model, args=arguments, train_dataset=data, data_collator=collator)
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
            packed = max(longest, 512)
            more |= {"packing": True, "packing_strategy": "bfd", "max_length": packed}
            mean = sum(len(row["ids"]) for row in rows) / len(rows)
            common |= {
                "per_device_train_batch_size": max(1, round(batch * mean / packed)),
                "gradient_accumulation_steps": 1,
            }
        if which == "trl_padding_free":
            more |= {"padding_free": True, "max_length": None}
        trainer = in_order(SFTTrainer)(
            model=model, args=SFTConfig(**common, **more), train_dataset=data, processing_class=tokenizer,
            peft_config=peft,
        )  # fmt: skip
    trainer.add_callback(Timed(meter))
    trainer.train()
    supervised, tokens = sizes(rows, batch)
    if which in ("trl_packing", "hf_grouped"):  # their steps hold other rows: what counts is the whole epoch
        share = len(meter.seconds)
        supervised, tokens = [sum(supervised) / share] * share, [sum(tokens) / share] * share
    meter.report(supervised, tokens)


if __name__ == "__main__":
    main()
