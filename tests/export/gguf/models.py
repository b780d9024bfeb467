"""Tiny random models in the shapes that can be written, on disk."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from tests.toys import BYTES, byte_tokenizer

WORDS = BYTES + 8
SMALL = {"vocab_size": WORDS, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
GROUPED = SMALL | {"num_attention_heads": 4, "num_key_value_heads": 2}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}
CONFIGS = {
    "llama": lambda: LlamaConfig(**GROUPED, head_dim=32),
    "llama-tied": lambda: LlamaConfig(**GROUPED, tie_word_embeddings=True),
    "llama-biases": lambda: LlamaConfig(**GROUPED, attention_bias=True, mlp_bias=True),
    "llama-3": lambda: LlamaConfig(**GROUPED, rope_parameters=LLAMA3, max_position_embeddings=256),
    "llama-linear": lambda: LlamaConfig(**GROUPED, rope_parameters=LINEAR, max_position_embeddings=256),
    "llama-yarn": lambda: LlamaConfig(**GROUPED, rope_parameters=YARN, max_position_embeddings=128),
    "mistral": lambda: MistralConfig(**GROUPED, head_dim=16, sliding_window=64),
    "qwen2": lambda: Qwen2Config(**GROUPED, tie_word_embeddings=True),
    "qwen2-yarn": lambda: Qwen2Config(**GROUPED, rope_parameters=YARN, max_position_embeddings=128),
    "qwen3": lambda: Qwen3Config(**GROUPED, head_dim=32),
    "gptneox": lambda: GPTNeoXConfig(**SMALL, num_attention_heads=4, rotary_pct=0.25),
    "gptneox-in-turn": lambda: GPTNeoXConfig(**SMALL, num_attention_heads=4, use_parallel_residual=False),
    "bloom": lambda: BloomConfig(vocab_size=WORDS, hidden_size=64, n_layer=2, n_head=4),
    "bloom-odd-heads": lambda: BloomConfig(vocab_size=WORDS, hidden_size=96, n_layer=2, n_head=6),
}


def save_model(folder: Path, config: PretrainedConfig, seed: int = 0) -> Path:
    """A random model with biases that are not zero, as training leaves them."""
    torch.manual_seed(seed)
    config.initializer_range = 0.1
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    tokenizer.save_pretrained(folder)
    return folder


class TableGelu(torch.nn.Module):
    """The GELU of llama.cpp on a CPU: by tanh, looked up in a table of half-precision numbers between -10 and 10."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        looked_up = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x <= -10, 0.0, torch.where(x >= 10, x, looked_up))


def with_table_gelu(model: torch.nn.Module) -> torch.nn.Module:
    """The model with llama.cpp's GELU wherever it computes one."""
    line = torch.linspace(-4, 4, 33)
    for path, part in list(model.named_modules()):
        if not list(part.children()) and not list(part.parameters()) and is_gelu(part, line):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, TableGelu())
    return model


def is_gelu(part: torch.nn.Module, line: torch.Tensor) -> bool:
    try:
        found = part(line)
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    return isinstance(found, torch.Tensor) and torch.allclose(found, torch.nn.functional.gelu(line), atol=1e-3)


def save_named(folder: Path, kind: str) -> Path:
    return save_model(folder, CONFIGS[kind]())
