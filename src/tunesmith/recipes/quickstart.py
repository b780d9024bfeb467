"""The whole way in a few minutes on a laptop: nano, before and after tuning."""

from tunesmith.recipe import Budget, Practice, Recipe, Score, Tune


def quickstart() -> Recipe:
    """Make practice data, score the embedded base, tune it, score the result on tasks it never saw."""
    budget = Budget(epochs=1, lr=1e-3, batch_size=32, micro_tokens=4096, max_length=256, warmup=0.05)
    return Recipe(
        "quickstart",
        "tune the embedded base on practice data and measure before and after",
        (
            ("practice", Practice()),
            ("before", Score(model="nano", tasks="@practice", template="chatml")),
            ("sft", Tune(base="nano", data=("@practice",), template="chatml", tune=budget)),
            ("after", Score(model="@sft", tasks="@practice")),
        ),
    )
