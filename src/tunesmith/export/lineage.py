"""Where a model comes from, as far as the folders that are here can tell."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tunesmith.artifact import MANIFEST
from tunesmith.errors import UserError
from tunesmith.models.load import ADAPTER, base_of, content_hash, is_hub_id, locate, read_object


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A model on the way: how it is called, what it holds, how it was made (its manifest), its licence if it says."""

    name: str
    sha256: str
    manifest: dict[str, Any] = field(default_factory=dict)
    licence: str = ""

    @property
    def config(self) -> dict[str, Any]:
        found = self.manifest.get("config")
        return found if isinstance(found, dict) else {}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "sha256": self.sha256, "licence": self.licence}


def trace(model: str) -> list[Ancestor]:
    """The model, the base it was tuned from, that one's base, and so on, as far as they are on this machine."""
    found: list[Ancestor] = []
    while model and len(found) < 16:
        try:
            folder = locate(model)
        except UserError:
            return [*found, Ancestor(model, "")]
        manifest = manifest_of(folder)
        found.append(Ancestor(called(model), content_hash(model), manifest, licence_of(folder)))
        if manifest.get("kind") == "export":
            return [*found, *(Ancestor(**parent) for parent in manifest["parents"])]
        model = str((manifest.get("config") or {}).get("base") or "")
        if not model and (folder / ADAPTER).is_file():
            model = base_of(folder)
    return found


def manifest_of(folder: Path) -> dict[str, Any]:
    return read_object(folder / MANIFEST, "") if (folder / MANIFEST).is_file() else {}


def called(model: str) -> str:
    """A hub id or nano as it is; of a path its last part, since the rest is of no use elsewhere."""
    return model if model == "nano" or (is_hub_id(model) and not Path(model).exists()) else Path(model).resolve().name


def licence_of(folder: Path) -> str:
    """What the front matter of the model's own card says."""
    card = folder / "README.md"
    parts = card.read_text(encoding="utf-8", errors="replace").split("---", 2) if card.is_file() else []
    if len(parts) < 3 or parts[0].strip():
        return ""
    try:
        front = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return ""
    return str(front.get("license") or "") if isinstance(front, dict) else ""


def scores(model: str) -> list[dict[str, Any]]:
    """What score stages beside the model's folder found for exactly this model."""
    digest = content_hash(model)
    manifests = (readable(file) for file in sorted(locate(model).resolve().parent.glob(f"*/{MANIFEST}")))
    return [
        manifest["scores"]
        for manifest in manifests
        if manifest.get("stage") == "Score" and manifest.get("inputs", {}).get("model") == digest
    ]


def readable(file: Path) -> dict[str, Any]:
    """A manifest; empty where what stands there is none."""
    try:
        return read_object(file, "")
    except UserError:
        return {}
