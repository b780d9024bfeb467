"""Make the embedded base from nothing: plain text, tokenizer, a small Llama, and the training that joins them."""

import itertools
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from tunesmith.artifact import whole_folder
from tunesmith.models.fused import Head, weighted_nll
from tunesmith.models.nano import tokenizer as tokens
from tunesmith.models.nano.card import card
from tunesmith.models.nano.muon import Muon
from tunesmith.models.nano.text import documents
from tunesmith.models.precision import arithmetic, choose

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of the model. Input and output embeddings are one matrix."""

    hidden: int = 192
    layers: int = 6
    heads: int = 6
    inner: int = 512
    positions: int = 1024


@dataclass(frozen=True, slots=True)
class Course:
    """How it is trained: a constant rate after the warm-up, then down to zero; longer rows once the rate falls."""

    steps: int = 3000
    batch: int = 4096  # tokens in a step
    width: int = 128  # tokens in a row
    late_width: int = 256  # tokens in a row during the cooldown
    lr: float = 6e-3
    warmup: int = 30  # steps
    cooldown: float = 0.5  # share of the steps
    seed: int = 0

    def lr_at(self, done: int) -> float:
        rise = min(1.0, (done + 1) / self.warmup)
        return self.lr * rise * min(1.0, (self.steps - done) / (self.steps * self.cooldown))

    def width_at(self, done: int) -> int:
        return self.late_width if done >= self.steps * (1 - self.cooldown) else self.width


@dataclass(frozen=True, slots=True)
class Step:
    """What a watcher is told; the loss is in nats per token, every one of which is learnt."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    supervised_tokens: int
    tokens: int
    seconds: float
    mfu: None = None


class Watch(Protocol):
    def begin(self, steps: int, done: int) -> None: ...

    def step(self, report: Any) -> None: ...


def pretrain(
    out: Path, steps: int, seed: int, watch: Watch, shape: Shape | None = None, batch: int = 4096
) -> dict[str, Any]:
    """Train the base and write it to `out`, whole or not at all. Returns what the model card says in numbers."""
    with whole_folder(out) as folder:  # opened first: a folder in use is refused before the work
        told = make(folder, Course(steps=steps, seed=seed, batch=batch), shape or Shape(), watch)
    return told


def make(folder: Path, course: Course, shape: Shape, watch: Watch) -> dict[str, Any]:
    start = time.perf_counter()
    model = fresh(shape, tokens.build().get_vocab_size(), course.seed)
    torch.nn.Module.to(model, "cuda" if torch.cuda.is_available() else "cpu")
    watch.begin(course.steps, 0)
    losses = []
    for report in train(model, course):
        losses.append(report.loss)
        watch.step(report)
    told = {
        "parameters": model.num_parameters(),
        "tokens": course.steps * course.batch,
        "loss": round(mean(losses[-100:]), 4),
        "seconds": round(time.perf_counter() - start),
        "course": asdict(course),
    }
    save(model, folder, told)
    return told


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def fresh(shape: Shape, vocabulary: int, seed: int) -> LlamaForCausalLM:
    """A model with random weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=math.ceil(vocabulary / 8) * 8,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokens.SPECIAL.index(tokens.END),
        pad_token_id=tokens.SPECIAL.index(tokens.PAD),
    )
    return LlamaForCausalLM(config)


def pack(tokenizer: Tokenizer, count: int, seed: int) -> Iterator[Tensor]:
    """Documents end to end, each closed by the end token, cut into pieces of `count` tokens."""
    stream, line = documents(seed), []
    end = tokenizer.token_to_id(tokens.END)
    while True:
        for encoded in tokenizer.encode_batch(list(itertools.islice(stream, 500))):
            line += [*encoded.ids, end]
        while len(line) >= count:
            yield torch.tensor(line[:count])
            line = line[count:]


def train(model: LlamaForCausalLM, course: Course) -> Iterator[Step]:
    """Train in place, one report a step: Muon on the matrices within, AdamW on embeddings and norms."""
    within = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    precision = choose("auto", model.device)
    optimizers: list[torch.optim.Optimizer] = [
        Muon(within, course.lr, dtype=DTYPES[precision]),
        torch.optim.AdamW(others, course.lr, (0.9, 0.95), weight_decay=0.0),
    ]
    model.train()
    pieces = pack(tokens.build(), course.batch, course.seed)
    for done, piece in zip(range(course.steps), pieces, strict=False):
        start = time.perf_counter()
        with arithmetic(precision, model.device):
            loss = next_token_loss(model, piece.view(-1, course.width_at(done)).to(model.device))
        loss.backward()
        norm = clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = course.lr_at(done)
            optimizer.step()
            optimizer.zero_grad()
        told = (loss.item(), course.lr_at(done), norm.item(), piece.numel(), piece.numel())
        yield Step(done + 1, *told, time.perf_counter() - start)


def next_token_loss(model: LlamaForCausalLM, batch: Tensor) -> Tensor:
    """Mean cross-entropy of [rows, tokens], in nats."""
    hidden = model.base_model(input_ids=batch[:, :-1], use_cache=False).last_hidden_state.flatten(0, 1)
    targets = batch[:, 1:].flatten()
    even = torch.full_like(targets, 1 / len(targets), dtype=torch.float32)
    return weighted_nll(hidden, Head(model.lm_head.weight, None), targets, even)


def save(model: LlamaForCausalLM, folder: Path, told: dict[str, Any]) -> None:
    """Weights in bf16, tokenizer, generation settings and model card."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokens.SPECIAL.index(tokens.END), pad_token_id=tokens.SPECIAL.index(tokens.PAD)
    )
    torch.nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(folder)
    tokens.save(folder)
    (folder / "README.md").write_text(card(told), encoding="utf-8")
    (folder / "training.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
