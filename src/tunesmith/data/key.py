"""What prepared data depends on: all of it, or the cache would hand out something stale."""

import hashlib
import json
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.data.inputs import Inputs
from tunesmith.messages import language
from tunesmith.recipe import Tune
from tunesmith.text.template import Template, moment

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("tokenizers", "transformers", "jinja2", "pyarrow")


def ingredients(
    stage: Tune,
    inputs: Inputs,
    tokenizer: "PreTrainedTokenizerFast",
    template: Template | None,
    opening: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Content, tokenizer, template, options, program: plain data. Ask before the tokenizer learns control tokens.

    Paths are in it because rows are named by them, the language because reasons are written in it.
    """
    return {
        "data": [[path, inputs.contents[path]] for path in stage.data],  # in order, as often as it is read
        "tokenizer": {
            "sha256": text_hash(tokenizer.backend_tokenizer.to_str()),
            "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
            "class": type(tokenizer).__name__,
        },
        "template": template and {"name": template.name, "sha256": text_hash(template.source)},
        "moment": template and moment(template),
        "options": {
            "format": stage.format,
            "thinking": stage.thinking,
            "mask": stage.mask,
            "max_length": stage.tune.max_length,
            "overlong": stage.tune.overlong,
            "opening": list(opening),
        },
        "language": language(),
        "program": program_hash(),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES},
    }


def key(parts: dict[str, Any]) -> str:
    """sha256 of the ingredients."""
    return text_hash(json.dumps(parts, sort_keys=True))


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def program_hash() -> str:
    """sha256 over every module and message of ours: whichever changed, nothing made before is used."""
    digest = hashlib.sha256()
    for file in sorted([*PACKAGE.rglob("*.py"), *(PACKAGE / "locale").rglob("*.json")]):
        digest.update(f"{file.relative_to(PACKAGE)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()
