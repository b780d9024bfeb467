"""A tiny chat model that learnt nothing, adapters of it, and a few conversations."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from tests.toys import byte_tokenizer, save_base
from tunesmith.models.load import load_model, load_quantized
from tunesmith.models.surgery.base import Surgery
from tunesmith.models.surgery.quantize import Quantize4bit
from tunesmith.text.render import Renderer
from tunesmith.text.template import load_template
from tunesmith.tune.save import Saver

NEW = (256, 257)  # control tokens of the template
QUICK = ("answer_tokens=6", "held_out=6")


class Quiet:
    """A Watch that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def counting(self, title: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: None


@pytest.fixture
def watch() -> Quiet:
    return Quiet()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 64 numbers, which 4-bit blocks divide; its output layer is its embedding."""
    folder = tmp_path_factory.mktemp("base")
    return save_base(folder, "qwen2", vocab_size=258, hidden_size=64, intermediate_size=64, head_dim=32)


def saver(base: Path) -> Saver:
    tokenizer = byte_tokenizer()
    renderer = Renderer(load_template("chatml"), tokenizer)
    tokenizer.chat_template = renderer.chat_template
    return Saver(tokenizer, renderer.stop_ids, str(base))


@pytest.fixture(scope="session")
def chat(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model with tokenizer and template."""
    folder = tmp_path_factory.mktemp("models") / "chat"
    saver(base)(load_model(str(base)), folder)
    return folder


def adapter(base: Path, folder: Path, surgery: Surgery, quantized: bool = False) -> Path:
    """An adapter of `base` that moves every weight it may."""
    torch.manual_seed(3)
    plain = load_quantized(str(base), Quantize4bit()) if quantized else load_model(str(base))
    adapted: PreTrainedModel = surgery(plain)
    with torch.no_grad():
        for part in adapted.parameters():
            if part.requires_grad:
                part += 0.05 * torch.randn_like(part)
    saver(base)(adapted, folder)
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Short answers and long ones, in English and Chinese."""
    file = tmp_path / "rows.jsonl"
    answers = ["yes", "不是", "It is a long story, which begins with a cat on a mat."]
    lines = [{"instruction": f"Say {n}. 说", "output": f"{answers[n % 3]} {n}", "license": "MIT"} for n in range(16)]
    file.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n", encoding="utf-8")
    return file
