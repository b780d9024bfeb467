"""Small artifacts that are made again only when their settings or inputs changed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.artifact import MANIFEST, versions, write_json
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Stage


def manifest(stage: Stage, inputs: Mapping[str, str], **told: Any) -> dict[str, Any]:
    """What an artifact says of itself: how it was made, from what, and `told`."""
    config = json.loads(json.dumps(asdict(stage)))
    return {"stage": type(stage).__name__, "config": config, "inputs": dict(inputs), "versions": versions(), **told}


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    write_json(folder / MANIFEST, content)


def known(folder: Path, stage: Stage, inputs: Mapping[str, str], reuse: bool) -> dict[str, Any] | None:
    """The manifest of a finished artifact that is the same as would be made now; None where there is none.

    Raises UserError when `folder` holds another one.
    """
    file = folder / MANIFEST
    if not reuse or not file.is_file():
        return None
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    mine = manifest(stage, inputs)
    if found.get("config") == mine["config"] and found.get("inputs") == mine["inputs"]:
        return found
    raise UserError(
        tr("{path} was made with other settings or inputs", path=folder),
        tr("choose another --out, or remove that folder to make it again"),
    )
