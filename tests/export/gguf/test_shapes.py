"""What llama.cpp computes from our files is what the model computes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GemmaConfig, LlamaConfig, PretrainedConfig, Qwen2Config

from tests.export.gguf.models import CONFIGS, GROUPED, LLAMA3, WORDS, save_model, save_named, with_table_gelu
from tunesmith.errors import UserError
from tunesmith.export.gguf.vocabulary import choose
from tunesmith.export.gguf.write import open_model, write_model
from tunesmith.models.llamacpp import installed, open_gguf
from tunesmith.models.load import load_model, load_tokenizer

needs_llamacpp = pytest.mark.skipif(not installed(), reason="llama-cpp-python is not installed")
# A number on the border of two entries of the table of GELUs falls to one side or the other by its last bit.
LIMITS = {"bloom": 1e-3, "bloom-odd-heads": 1e-3}
IDS = [int(number) for number in np.random.default_rng(0).integers(0, 256, 60)]


@needs_llamacpp
@pytest.mark.parametrize("kind", CONFIGS)
def test_logits_of_the_f32_file_are_those_of_the_model(kind: str, tmp_path: Path) -> None:
    source = save_named(tmp_path / "model", kind)
    model = open_model(source)
    words = choose(load_tokenizer(str(source)), WORDS)
    [file] = write_model(tmp_path / "model.gguf", model, "F32", words.written())
    with torch.no_grad():
        wanted = with_table_gelu(load_model(str(source)))(torch.tensor([IDS])).logits[0].numpy()
    opened = open_gguf(file, cache="f32", threads=1)
    found = opened.logits(IDS)
    opened.close()
    apart = np.abs(found - wanted)
    assert apart.max() < LIMITS.get(kind, 1e-4)
    assert np.median(apart) < 1e-5
    assert wanted.std() > 0.1


@needs_llamacpp
@pytest.mark.parametrize("kind", ["gptneox", "gptneox-in-turn", "bloom", "bloom-odd-heads"])
def test_beyond_the_table_of_gelus_the_logits_are_those_of_the_model_itself(kind: str, tmp_path: Path) -> None:
    """Every number that GELU reads lies beyond 10 or -10, where llama.cpp computes it exactly."""
    source = save_named(tmp_path / "model", kind)
    model = load_model(str(source))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("h_to_4h.bias"):
                parameter.copy_(16 * parameter.sign())
        wanted = model(torch.tensor([IDS])).logits[0].numpy()
    model.save_pretrained(source)
    words = choose(load_tokenizer(str(source)), WORDS)
    [file] = write_model(tmp_path / "model.gguf", open_model(source), "F32", words.written())
    opened = open_gguf(file, cache="f32", threads=1)
    found = opened.logits(IDS)
    opened.close()
    assert np.abs(found - wanted).max() < 1e-4
    assert wanted.std() > 0.1


def test_a_window_ends_the_context(tmp_path: Path) -> None:
    model = open_model(save_named(tmp_path, "mistral"))
    assert model.shape.fields(model.config)["context_length"] == 64


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (lambda: GemmaConfig(**GROUPED, head_dim=32), "hidden_act"),
        (lambda: LlamaConfig(**GROUPED, logit_scale=0.25), "logit_scale"),
        (lambda: Qwen2Config(**GROUPED, rope_parameters=LLAMA3), "llama3"),
    ],
)
def test_what_llamacpp_would_compute_otherwise_is_refused(
    config: Callable[[], PretrainedConfig], said: str, tmp_path: Path
) -> None:
    source = save_model(tmp_path / "model", config())
    with pytest.raises(UserError, match=said) as caught:
        write_model(tmp_path / "model.gguf", open_model(source), "F32", {})
    assert "Llama" in caught.value.cure or "linear" in caught.value.cure


def test_a_foreign_shape_is_refused_with_those_that_can_be_written(tmp_path: Path) -> None:
    from tests.toys import save_base

    with pytest.raises(UserError, match="no tensor") as caught:
        open_model(save_base(tmp_path, "gpt2"))
    assert "GPT-NeoX, BLOOM" in caught.value.cure
