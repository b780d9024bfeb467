"""The embedded base model: its words, text, tokenizer, training, and the weights that came of it."""

from importlib import resources
from pathlib import Path


def path() -> Path:
    """The folder of the shipped model, as transformers reads it."""
    return Path(str(resources.files("tunesmith.models.nano") / "weights"))
