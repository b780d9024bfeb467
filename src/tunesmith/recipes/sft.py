"""Supervised fine-tuning of any base on any data."""

from tunesmith.recipe import Recipe, Tune


def sft() -> Recipe:
    """Full or LoRA tuning with the tokenizer's own template; give base and data."""
    return Recipe("sft", "supervised tuning of any base on any data, full or LoRA", (("sft", Tune()),))
