"""4 bits whose errors make up for one another."""

from dataclasses import dataclass
from pathlib import Path

from tunesmith.export.quantize import Rounding, quantize
from tunesmith.export.target import Work
from tunesmith.export.torch_subject import TorchSubject, open_torch
from tunesmith.recipe import Count


@dataclass(frozen=True, slots=True)
class Gptq:
    """4 bits by GPTQ, calibrated on your conversations, for transformers and vLLM.

    Frantar et al., 2022: after each column the others of its row are moved to make up for what rounding changed.
    """

    group: Count = 128  # weights of a row that share one scale
    act_order: bool = True  # round the columns that matter most first
    symmetric: bool = True  # levels around 0; false gives each group a zero point: closer, but fewer programs read it
    python: str = ""  # the Python that has llm-compressor; by default that of make setup-quantize

    def write(self, work: Work, folder: Path) -> None:
        quantize(work, folder, Rounding("gptq", self.group, self.symmetric, self.act_order), self.python)

    def open(self, folder: Path) -> TorchSubject:
        return open_torch(folder)
