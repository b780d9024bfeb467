"""What the forms of export have in common: what they are given, and what they must offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tunesmith.export.subject import Subject
from tunesmith.records import Conversation
from tunesmith.text.render import Renderer


@dataclass(frozen=True, slots=True)
class Work:
    """What is exported.

    model        as the user named it: a folder, an adapter, nano, a hub id
    whole        a plain folder with the weights in safetensors, adapters merged, tokenizer and template included
    renderer     the model's own template and tokenizer
    calibration  conversations that a form may learn its rounding from
    """

    model: str
    whole: Path
    renderer: Renderer
    calibration: Sequence[Conversation] = ()


class Target(Protocol):
    """One form: a frozen dataclass whose fields are its options (`key=value` on the command line)."""

    def write(self, work: Work, folder: Path) -> None:
        """Fill the new folder, which becomes the export when it passed its verification."""
        ...

    def open(self, folder: Path) -> Subject:
        """What was written, ready to be asked."""
        ...
