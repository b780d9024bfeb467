"""MLflow: the server or database that its own settings name; without any, what this machine can hold."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import mlflow

from tunesmith.messages import tr
from tunesmith.tune.samples import Sample, markdown
from tunesmith.tune.tracking import About

EXPERIMENT = "tunesmith"


@dataclass(slots=True)
class MLflow:
    run: mlflow.ActiveRun

    @property
    def known(self) -> str:
        return str(self.run.info.run_id)

    @property
    def where(self) -> str:
        return tr("run {name} in {place}", name=self.known, place=mlflow.get_tracking_uri())

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        mlflow.log_metrics(dict(values), step=step)

    def samples(self, step: int, samples: Sequence[Sample]) -> None:
        mlflow.log_text(markdown(samples), f"samples/step-{step:06d}.md")

    def close(self, done: bool) -> None:
        mlflow.end_run("FINISHED" if done else "FAILED")


def start(about: About) -> MLflow:
    if not mlflow.is_tracking_uri_set() and find_spec("sqlalchemy") is None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny brings no database
        mlflow.set_tracking_uri(Path("mlruns").absolute().as_uri())
    if about.known is not None:
        return MLflow(mlflow.start_run(run_id=about.known))
    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
    run = mlflow.start_run(run_name=about.name)
    mlflow.log_params(dict(about.settings))
    return MLflow(run)
