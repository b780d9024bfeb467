"""A recipe is a name and the stages that lead to a model. Plain data: no torch, no work done here.

Every setting that a user may override is a field of one of these dataclasses; its comment is its help.
"""

from dataclasses import dataclass, field
from typing import Literal

Thinking = Literal["keep", "none"]
MaskName = Literal["answers", "last_answer", "everything"]


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al., 2021), by peft."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: str = "all-linear"  # "all-linear", or module names separated by commas


@dataclass(frozen=True, slots=True)
class Budget:
    """How long, how fast, in which precision. Lengths in tokens, rates per optimizer step."""

    epochs: float = 3.0
    lr: float = 2e-5
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.03  # share of all steps
    batch_size: int = 32  # examples in one optimizer step
    micro_tokens: int = 8192  # padded tokens in one forward pass; more passes accumulate
    max_length: int = 2048  # longest example, in tokens
    overlong: Literal["drop", "split", "error"] = "drop"  # what to do with a row over max_length
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 where a probe finds it faster, else fp32
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    max_grad_norm: float = 1.0
    gradient_checkpointing: bool = False
    eval_share: float = 0.0  # share of the examples held out to measure the loss
    eval_every: int = 0  # steps between evaluations; 0: at the end of each epoch
    checkpoint_every: int = 0  # steps between checkpoints; 0: at the end of each epoch
    keep: Literal["last", "best"] = "last"  # which weights OUT holds: after the last step, or at the lowest held-out loss
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Tune:
    """Supervised tuning of one causal language model on conversations (or on plain text)."""

    base: str = ""  # model folder, hub id, or "nano"
    data: tuple[str, ...] = ()  # files, folders or hub ids
    format: str = "auto"  # reader of the data; auto: detected from the content
    template: str = "auto"  # auto: the tokenizer's own chat template; else a shipped name or a .jinja file
    thinking: Thinking = "keep"  # keep: learn the rows' own thinking; none: leave it out, ask without a think block
    mask: MaskName = "answers"  # which tokens carry loss
    adapter: Literal["full", "lora"] = "full"
    train: str = ""  # with adapter=full: regular expression of the parameters that train; empty: all
    lora: Lora = field(default_factory=Lora)
    tune: Budget = field(default_factory=Budget)
