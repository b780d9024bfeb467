"""The embedded base model, remade from nothing."""

from tunesmith.recipe import Pretrain, Recipe


def nano_base() -> Recipe:
    """Text and tokenizer from our own generators, then a small bilingual language model trained on that text."""
    return Recipe(
        "nano_base", "remake the embedded base model `nano` from generated plain text", (("base", Pretrain()),)
    )
