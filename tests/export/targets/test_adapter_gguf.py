"""A LoRA adapter as GGUF: llama.cpp with it computes what peft does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import IA3Config, LoraConfig, PeftConfig, get_peft_model

from tests.export.gguf.models import save_named, with_table_gelu
from tests.export.targets.test_gguf import speaking
from tunesmith.errors import UserError
from tunesmith.export.target import Work
from tunesmith.export.targets.adapter_gguf import AdapterGguf
from tunesmith.models.llamacpp import installed, open_gguf
from tunesmith.models.load import content_hash, load_model, load_tokenizer
from tunesmith.text.render import Renderer
from tunesmith.text.template import load_template

pytest.importorskip("gguf", reason="the package gguf is not installed")
needs_llamacpp = pytest.mark.skipif(not installed(), reason="llama-cpp-python is not installed")
IDS = list(range(40, 90))
NEOX = ["query_key_value", "dense_4h_to_h"]


def save_adapter(folder: Path, kind: str, config: PeftConfig, **note: Any) -> Path:
    """An adapter with weights that are not zero, as our tuning saves it."""
    base = speaking(save_named(folder / "base", kind))
    torch.manual_seed(1)
    model = get_peft_model(load_model(str(base)), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * (0.2 if "lora" in name else 0.01))
    for one in model.peft_config.values():
        one.base_model_name_or_path = str(base)
    model.save_pretrained(str(folder / "adapter"))
    told = {
        "base": str(base),
        "sha256": content_hash(str(base)),
        "vocabulary": 264,
        "token_rows": {},
        "quantized": None,
    }
    (folder / "adapter" / "base.json").write_text(json.dumps(told | note))
    speaking(folder / "adapter")
    return folder / "adapter"


def work(source: Path) -> Work:
    return Work(str(source), source, Renderer(load_template("chatml"), load_tokenizer(str(source))))


def lora(targets: Any = "all-linear", **changes: Any) -> LoraConfig:
    return LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM", **changes)


CASES = {
    "llama": ("llama", lora()),
    "stabilised": ("llama", lora(use_rslora=True)),
    "patterns": ("qwen3", lora(rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 32, "layers.1.mlp.up_proj": 3})),
    "fused": ("gptneox", lora(NEOX)),
    "bloom": ("bloom", lora(NEOX)),
}


@needs_llamacpp
@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_peft(case: str, tmp_path: Path) -> None:
    kind, config = CASES[case]
    source = save_adapter(tmp_path, kind, config)
    target = AdapterGguf(base_quant="F32")
    (tmp_path / "out").mkdir()
    target.write(work(source), tmp_path / "out")
    assert (tmp_path / "out" / "Modelfile").read_text().startswith("FROM ./base.gguf\nADAPTER ./adapter.gguf\n")
    assert 'PARAMETER stop "<|im_end|>"' in (tmp_path / "out" / "Modelfile").read_text()
    opened, bare = target.open(tmp_path / "out"), open_gguf(tmp_path / "out" / "base.gguf", cache="f32")
    with torch.no_grad():
        wanted = with_table_gelu(load_model(str(source)))(torch.tensor([IDS])).logits[0].numpy()
    apart = np.abs(opened.logits(IDS) - wanted).max()
    assert apart < (1e-3 if kind in ("gptneox", "bloom") else 1e-4)  # borders of the table of their GELU
    assert np.abs(bare.logits(IDS) - wanted).max() > 20 * apart
    opened.close()
    bare.close()


@pytest.mark.parametrize(
    ("config", "note", "said"),
    [
        (IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM"), {}, "IA3"),
        (lora(use_dora=True), {}, "use_dora"),
        (lora(modules_to_save=["lm_head"]), {}, "modules_to_save"),
        (lora(["embed_tokens", "q_proj"]), {}, "embed_tokens"),
        (lora(), {"token_rows": {"embed_tokens": [3]}}, "embedding rows"),
        (lora(), {"vocabulary": 300}, "embedding rows"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(
    config: PeftConfig, note: dict[str, Any], said: str, tmp_path: Path
) -> None:
    source = save_adapter(tmp_path, "llama", config, **note)
    with pytest.raises(UserError, match=said) as caught:
        AdapterGguf().write(work(source), tmp_path)
    assert "--to gguf" in caught.value.cure


def test_a_whole_model_is_no_adapter(tmp_path: Path) -> None:
    source = speaking(save_named(tmp_path / "model", "llama"))
    with pytest.raises(UserError, match="no adapter"):
        AdapterGguf().write(work(source), tmp_path)
