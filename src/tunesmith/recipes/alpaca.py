"""Stanford Alpaca (Taori et al., 2023): tatsu-lab/stanford_alpaca, README and train.py."""

from tunesmith.recipe import Budget, Recipe, Tune


def alpaca() -> Recipe:
    """LLaMA-7B on 52 k instructions: 3 epochs, lr 2e-5 cosine, warm-up 3 %, batch 128, 512 tokens.

    Their 13B used lr 1e-5 and 5 epochs. They cut rows at 512 tokens, which loses the end mark of long answers;
    here such rows are dropped and counted.
    """
    budget = Budget(epochs=3, lr=2e-5, schedule="cosine", warmup=0.03, batch_size=128, max_length=512)
    return Recipe(
        "alpaca",
        "Stanford Alpaca: LLaMA on 52 k single-turn instructions",
        (("sft", Tune(format="alpaca", template="alpaca", tune=budget)),),
    )
