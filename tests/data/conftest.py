"""Rows of several kinds, and a cache of each test's own."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from tests.text.test_render import THINKER
from tests.toys import byte_tokenizer
from tunesmith.recipe import Budget, Tune
from tunesmith.stages import reading
from tunesmith.stages.examples import Examples, gather

PORTION = 8  # rows


@dataclass
class Workbench:
    """Prepares data as a run does; every run has a tokenizer of its own, as commands have."""

    folder: Path
    told: list[str] = field(default_factory=list)

    @property
    def entries(self) -> list[Path]:
        tokens = self.folder / "cache" / "tunesmith" / "tokens"
        return sorted(tokens.iterdir()) if tokens.is_dir() else []

    def write(self, rows: list[Any], name: str = "rows.jsonl") -> str:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    def thinker(self) -> str:
        """A template that knows thinking: answers with and without it are asked for in other ways."""
        path = self.folder / "thinker.jinja"
        path.write_text(THINKER.source)
        return str(path)

    def run(self, data: str | tuple[str, ...], merges: int = 0, **settings: Any) -> Examples:
        self.told.clear()
        return gather(stage(data, **settings), tokenizer(merges), self.told.append)

    @property
    def reused(self) -> bool:
        return any("reused" in line for line in self.told)


def tokenizer(merges: int = 0) -> PreTrainedTokenizerFast:
    made = byte_tokenizer("<s>", "</s>", merges=merges)
    made.eos_token = "</s>"
    return made


def stage(data: str | tuple[str, ...], max_length: int = 2048, overlong: str = "drop", **settings: Any) -> Tune:
    paths = (data,) if isinstance(data, str) else data
    budget = Budget(max_length=max_length, overlong=overlong)  # type: ignore[arg-type]
    return Tune(**{"data": paths, "template": "chatml", "tune": budget, **settings})


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(reading, "ROWS", PORTION)
    return Workbench(tmp_path)


def same(one: Examples, other: Examples) -> bool:
    """Whether a run could not tell them apart."""
    from tunesmith.tune.feed import conversation_hashes

    renderers = [
        made.renderer
        and (made.renderer.stop_ids, made.renderer.added_ids, made.renderer.chat_template, made.renderer.ways)
        for made in (one, other)
    ]
    return (
        one.examples == other.examples
        and conversation_hashes(one.examples) == conversation_hashes(other.examples)
        and (one.counts, one.refusals, one.proofs, one.inputs)
        == (other.counts, other.refusals, other.proofs, other.inputs)
        and renderers[0] == renderers[1]
    )


def restored(path: str, content: bytes) -> None:
    """Other content of the same size, with the old times: nothing but the content tells."""
    before = os.stat(path)
    assert len(content) == before.st_size
    Path(path).write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
