"""TensorBoard: event files in OUT/tensorboard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from tunesmith.tune.samples import Sample, markdown
from tunesmith.tune.tracking import About
from tunesmith.tune.workspace import Workspace


@dataclass(slots=True)
class TensorBoard:
    """Writes through to the disk after each call: its files are opened by name, and the folder is renamed once."""

    space: Workspace
    known: str = "tensorboard"
    open: tuple[Path, SummaryWriter] | None = None

    @property
    def where(self) -> str:
        return f"tensorboard --logdir {self.space.out / self.known}"

    @property
    def writer(self) -> SummaryWriter:
        """In OUT as it is called now; TensorBoard reads several files of one folder as one run."""
        folder = self.space.folder / self.known
        if self.open and self.open[0] != folder:
            self.open[1].close()
            self.open = None
        if self.open is None:
            self.open = folder, SummaryWriter(str(folder))
        return self.open[1]

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def samples(self, step: int, samples: Sequence[Sample]) -> None:
        self.writer.add_text("samples", markdown(samples), step)
        self.writer.flush()

    def close(self, done: bool) -> None:
        self.writer.close()


def start(about: About) -> TensorBoard:
    made = TensorBoard(about.space)
    if about.known is None:
        made.writer.add_text("settings", "\n".join(f"    {key}: {value}" for key, value in about.settings.items()), 0)
        made.writer.flush()
    return made
