"""FLAN-T5 (Chung et al., 2022): an encoder–decoder that follows instructions."""

from tunesmith.recipe import Budget, Recipe, Tune


def flan_t5() -> Recipe:
    """T5 or mT5 with Adafactor at a constant 5e-4, batch 64, prompts of up to 2,048 tokens.

    They trained for 14,000 (11B) to 98,000 (80M) steps and cut answers at 512 tokens. T0 and mT0 used lr 1e-3.
    """
    budget = Budget(epochs=1, lr=5e-4, schedule="constant", warmup=0, optimizer="adafactor", batch_size=64)
    return Recipe(
        "flan_t5",
        "FLAN-T5: an encoder–decoder (T5, mT5) on bare requests and answers",
        (("sft", Tune(template="flan-t5", tune=budget)),),
    )
