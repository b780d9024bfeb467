"""trackio: a database on this machine, or a Hugging Face Space where its own settings name one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import trackio
from trackio.run import Run

from tunesmith.messages import tr
from tunesmith.tune.samples import Sample, markdown
from tunesmith.tune.tracking import About

PROJECT = "tunesmith"


@dataclass(slots=True)
class Trackio:
    """trackio sends what it is told twice a second; a kill loses what waits."""

    run: Run

    @property
    def known(self) -> str:
        return str(self.run.name)

    @property
    def where(self) -> str:
        return tr("run {name}; trackio show --project {project}", name=self.known, project=PROJECT)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def samples(self, step: int, samples: Sequence[Sample]) -> None:
        self.run.log({"samples": trackio.Markdown(markdown(samples))}, step=step)

    def close(self, done: bool) -> None:
        trackio.finish()  # not run.finish(): that would be done again, aloud, when the program ends


def start(about: About) -> Trackio:
    name = about.known or f"{about.name}-{uuid4().hex[:8]}"
    return Trackio(trackio.init(project=PROJECT, name=name, config=dict(about.settings), resume="allow"))
