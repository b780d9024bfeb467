"""What is to be exported, and with what it will be verified."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.export.cases import Case
from tunesmith.export.conversations import Data
from tunesmith.export.settings import Settings
from tunesmith.export.target import Target
from tunesmith.export.torch_subject import TorchSubject
from tunesmith.export.watch import Watch


@dataclass(frozen=True, slots=True)
class Order:
    """
    model      as the user named it          to     name of the form, and `target` the form itself
    reference  the model as it was trained   cases  what the verification asks, of `data` or of our own prompts
    """

    model: str
    to: str
    target: Target
    settings: Settings
    reference: TorchSubject
    data: Data
    cases: Sequence[Case]
    watch: Watch
