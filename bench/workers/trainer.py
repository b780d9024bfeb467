"""What the peers built on Hugging Face's Trainer have in common: their arguments, and when a step begins and ends."""

from typing import Any

from meter import Meter, sizes
from transformers import TrainerCallback


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


def arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """TrainingArguments of a run in padded batches; gradient checkpointing is off, since ours is."""
    return {
        "output_dir": settings["out"], "per_device_train_batch_size": settings["batch"] // 2,
        "gradient_accumulation_steps": 2, "num_train_epochs": 1, "learning_rate": settings["lr"],
        "lr_scheduler_type": "constant", "logging_steps": 1, "save_strategy": "no", "report_to": "none",
        "use_cpu": True, "bf16": settings["precision"] == "bf16", "gradient_checkpointing": False,
        "disable_tqdm": True, "optim": "adamw_torch_fused",
    }  # fmt: skip


def packed(rows: list[dict[str, Any]], batch: int) -> tuple[int, dict[str, int]]:
    """Tokens of a packed row, and the arguments by which a step holds about `batch` of the rows."""
    length = max(512, *(len(row["ids"]) for row in rows))
    mean = sum(len(row["ids"]) for row in rows) / len(rows)
    return length, {
        "per_device_train_batch_size": max(1, round(batch * mean / length)), "gradient_accumulation_steps": 1,
    }  # fmt: skip


def report(meter: Meter, rows: list[dict[str, Any]], batch: int, reordered: bool) -> None:
    """Print the result. Where steps hold other rows than ours do, what counts is the whole epoch."""
    supervised, tokens = sizes(rows, batch)
    if reordered:
        share = len(meter.seconds)
        supervised, tokens = [sum(supervised) / share] * share, [sum(tokens) / share] * share
    meter.report(supervised, tokens)
