"""One run of our engine: ours FOLDER SETTINGS."""

import torch

from bench.workers.meter import Meter, given, sizes
from tunesmith.batch import Example
from tunesmith.models.load import load_model
from tunesmith.models.surgery.lora import Lora
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.recipe import Budget
from tunesmith.recipe import Lora as Adapter
from tunesmith.tune.loop import Work, fit
from tunesmith.tune.memory import MOST
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.shortcuts import choose


def main() -> None:
    settings, rows = given()
    torch.set_num_threads(settings["threads"])
    model, batch = load_model(settings["model"]), settings["batch"]
    if settings["lora"]:
        model = Lora(Adapter(rank=8, alpha=16))(model)
    examples = [
        Example(tuple(row["ids"]), (0.0,) * row["read"] + (1.0,) * (len(row["ids"]) - row["read"])) for row in rows
    ]
    budget = Budget(lr=settings["lr"], schedule="constant", warmup=0.0)
    way, _ = choose(model, CrossEntropy(), examples[:4], 0, packing=settings.get("packing", True))
    layout, objective = way.layout(MOST, 0), CrossEntropy(way.fused)
    meter = Meter()

    def steps():
        for start in range(0, len(examples), batch):
            meter.begin()
            yield [Work(objective, layout.batches(examples[start : start + batch]))]

    for report in fit(
        model, steps(), make_optimizer(model, budget), lambda done: budget.lr, 1.0, settings["precision"]
    ):
        meter.end()
        meter.losses.append(report.loss)
    meter.report(*sizes(rows, batch))


if __name__ == "__main__":
    main()
