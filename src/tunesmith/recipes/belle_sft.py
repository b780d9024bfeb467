"""BELLE (LianjiaTech/BELLE): Chinese instruction tuning; settings of Ji et al., 2023, arXiv:2304.08109."""

from tunesmith.recipe import Budget, Lora, Recipe, Tune


def belle_sft() -> Recipe:
    """Full tuning as in the paper: 3 epochs, lr 5e-6 cosine, warm-up 3 %, batch 32, 1,024 tokens.

    With adapter=lora the paper's adapter is ready: rank 8 on six projections without o_proj; use
    tune.lr=2e-4 tune.epochs=4 tune.batch_size=128 with it.
    """
    budget = Budget(epochs=3, lr=5e-6, schedule="cosine", warmup=0.03, batch_size=32, max_length=1024)
    lora = Lora(rank=8, alpha=16, dropout=0.05, targets="q_proj,k_proj,v_proj,down_proj,gate_proj,up_proj")
    return Recipe(
        "belle_sft",
        "BELLE: Chinese multi-turn tuning, full or LoRA",
        (("sft", Tune(template="belle", lora=lora, tune=budget)),),
    )
