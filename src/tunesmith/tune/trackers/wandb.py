"""Weights & Biases: online where there is a login, else in ./wandb on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import wandb

from tunesmith.messages import tr
from tunesmith.tune.samples import Sample
from tunesmith.tune.tracking import About

PROJECT = "tunesmith"


@dataclass(slots=True)
class Wandb:
    run: wandb.Run

    @property
    def known(self) -> str:
        return str(self.run.id)

    @property
    def where(self) -> str:
        if self.run.offline:
            folder = self.run.settings.sync_dir
            return tr("no login, so the run stays on this machine; send it with: wandb sync {folder}", folder=folder)
        return str(self.run.url)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def samples(self, step: int, samples: Sequence[Sample]) -> None:
        rows = [[sample.prompt, sample.answer, sample.reference] for sample in samples]
        self.run.log({"samples": wandb.Table(columns=["prompt", "answer", "reference"], data=rows)}, step=step)

    def close(self, done: bool) -> None:
        self.run.finish(exit_code=0 if done else 1)


def start(about: About) -> Wandb:
    run = wandb.init(
        project=wandb.setup().settings.project or PROJECT,
        name=about.name,
        id=about.known,
        resume="allow",
        config=dict(about.settings),
        mode=None if wandb.login(prompt=False) else "offline",
        settings=wandb.Settings(silent=True, console="off"),
    )
    return Wandb(run)
