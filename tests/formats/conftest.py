"""Small helpers: write a file of bytes, text or rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, str | bytes | list[Any]], str]:
    """save("a.json", content) -> path; a list of rows becomes JSON lines under .jsonl, else a JSON list."""

    def write(name: str, content: str | bytes | list[Any]) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            lines = [json.dumps(row, ensure_ascii=False) for row in content]
            content = "\n".join(lines) + "\n" if name.endswith(".jsonl") else "[" + ",\n".join(lines) + "]"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


@pytest.fixture
def read() -> Callable[..., tuple[list[Any], list[Any]]]:
    """read(path, format="auto") -> (kept, refused)."""
    from tunesmith import formats
    from tunesmith.records import Refusal

    def split(*paths: str | Path, format: str = "auto") -> tuple[list[Any], list[Any]]:
        found = list(formats.read([str(path) for path in paths], format))
        kept = [record for record in found if not isinstance(record, Refusal)]
        return kept, [record for record in found if isinstance(record, Refusal)]

    return split
