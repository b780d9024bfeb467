"""4 bits of weights that were scaled for it."""

from dataclasses import dataclass
from pathlib import Path

from tunesmith.export.quantize import Rounding, quantize
from tunesmith.export.target import Work
from tunesmith.export.torch_subject import TorchSubject, open_torch
from tunesmith.recipe import Count


@dataclass(frozen=True, slots=True)
class Awq:
    """4 bits by AWQ, calibrated on your conversations, for transformers and vLLM.

    Lin et al., 2023: weights that read large activations are made larger before rounding, and what they read smaller.
    """

    group: Count = 128  # weights of a row that share one scale
    symmetric: bool = True  # levels around 0; false gives each group a zero point: closer, but fewer programs read it
    python: str = ""  # the Python that has llm-compressor; by default that of make setup-quantize

    def write(self, work: Work, folder: Path) -> None:
        quantize(work, folder, Rounding("awq", self.group, self.symmetric), self.python)

    def open(self, folder: Path) -> TorchSubject:
        return open_torch(folder)
