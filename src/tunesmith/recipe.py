"""A recipe is a name and the stages that lead to a model. Plain data: no torch, no work done here.

Every setting that a user may override is a field of one of these dataclasses; its comment is its help.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Below1 = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(gt=0)]
CountOr0 = Annotated[int, Field(ge=0)]
Thinking = Literal["keep", "none"]
LossPer = Literal["token", "example", "micro_batch"]
Adapter = Literal["full", "lora", "qlora", "ia3", "prefix", "prompt", "ptuning"]
TrackerName = Literal["tensorboard", "trackio", "wandb", "mlflow"]
MaskName = Literal["answers", "last_answer", "everything"]


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al., 2021), by peft."""

    rank: Count = 8
    alpha: Positive = 16.0
    dropout: Below1 = 0.0
    targets: str = "all-linear"  # "all-linear", or module names separated by commas
    variant: Literal["plain", "rslora", "dora", "pissa"] = (
        "plain"  # rslora: scale alpha/√rank; dora: direction and length apart; pissa: starts at the principal part
    )
    lr_ratio: Positive = 1.0  # LoRA+ (Hayou et al., 2024): how much faster B learns than A, e.g. 16


@dataclass(frozen=True, slots=True)
class Qlora:
    """Low-rank adapters, as `lora` has them, over a base in 4 bits (Dettmers et al., 2023), by bitsandbytes."""

    double: bool = True  # the scales of the 4-bit blocks are kept in 8 bits, not in 32


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values before those of the text, in every layer (Li and Liang, 2021), by peft."""

    tokens: Count = 20  # places that the prefix takes
    hidden: CountOr0 = 512  # width of the network that makes it while it trains; 0: none


@dataclass(frozen=True, slots=True)
class Prompt:
    """Learnt embeddings before the text (Lester et al., 2021), by peft."""

    tokens: Count = 20  # places that the prompt takes
    init: str = ""  # text that it starts as, repeated to fill it; empty: words of the vocabulary at random


@dataclass(frozen=True, slots=True)
class Ptuning:
    """Embeddings before the text, made by a small network while it trains (Liu et al., 2021), by peft."""

    tokens: Count = 20  # places that the prompt takes
    network: Literal["mlp", "lstm"] = "mlp"
    hidden: CountOr0 = 0  # width of the network; 0: that of the embeddings


@dataclass(frozen=True, slots=True)
class Ia3:
    """Factors on keys, values and the inner feed-forward (Liu et al., 2022), by peft."""

    targets: str = "auto"  # "auto": as peft knows the kind of model; or module names separated by commas
    feedforward: str = ""  # those of the named targets whose input is scaled instead of their output


@dataclass(frozen=True, slots=True)
class Budget:
    """How long, how fast, in which precision. Lengths in tokens, rates per optimizer step."""

    epochs: Positive = 3.0
    lr: Positive = 2e-5
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine"  # wsd: constant, then down over the last fifth
    lr_floor: Share = 0.0  # share of lr at which the schedule ends
    warmup: NotNegative = 0.03  # below 1 a share of all steps, from 1 on a number of steps

    optimizer: Literal["adamw", "adamw8bit", "adafactor"] = (
        "adamw"  # adamw8bit: a quarter of its state, by bitsandbytes
    )
    weight_decay: NotNegative = 0.0
    beta1: Below1 = 0.9
    beta2: Below1 = 0.999
    max_grad_norm: Positive = 1.0
    ema: Below1 = 0.0  # decay of a running average of the weights, which is what is measured and kept, e.g. 0.999

    batch_size: Count = 32  # examples in one optimizer step
    loss_per: LossPer = "token"  # what counts alike in a step; micro_batch: as most trainers of 2023 did
    max_length: Annotated[int, Field(gt=1)] = 2048  # longest example, in tokens; of an encoder–decoder, each side
    overlong: Literal["drop", "split", "error"] = "drop"  # what to do with a row over max_length

    neftune_alpha: NotNegative = 0.0  # noise on the embeddings (NEFTune, Jain et al., 2023), e.g. 5
    residual_dropout: Below1 = 0.0  # at the top layer, rising from 0 at the bottom (LIMA, Zhou et al., 2023), e.g. 0.3

    precision: Literal["auto", "fp32", "bf16", "bf16_sr"] = (
        "auto"  # auto: bf16 where a probe finds it faster, else fp32; bf16_sr: weights too in bf16, rounded by chance
    )
    micro_tokens: CountOr0 = 0  # tokens in one forward pass, more passes accumulate; 0: as fit the memory, to 8192
    packing: bool = True  # examples end to end, none seeing another; padded where the model cannot
    gradient_checkpointing: bool = False
    sharding: Literal["none", "full", "tensor", "zero2", "zero3"] = (
        "none"  # each of several processes holds: none: all; full, zero2, zero3: parts of weights; tensor: of layers
    )
    liger: bool = False  # Triton kernels for norms, rotation and feed-forward (Liger-Kernel), on CUDA
    compile: bool = False  # torch.compile, kept only where it is exact and measured to be faster

    eval_share: Below1 = 0.0  # share of the examples held out to measure the loss
    eval_every: CountOr0 = 0  # steps between evaluations; 0: at the end of each epoch
    samples: CountOr0 = 2  # held-out prompts that are answered at each evaluation
    checkpoint_every: CountOr0 = 0  # steps between checkpoints; 0: at the end of each epoch
    keep: Literal["last", "best"] = (
        "last"  # which weights OUT holds: after the last step, or at the lowest held-out loss
    )
    track: tuple[TrackerName, ...] = ()  # who is told of the run besides OUT: tensorboard, trackio, wandb, mlflow
    seed: CountOr0 = 0


@dataclass(frozen=True, slots=True)
class Tune:
    """Supervised tuning of one language model on conversations (a causal one also on plain text)."""

    base: str = ""  # model folder, hub id, or "nano"
    data: tuple[str, ...] = ()  # files, folders or hub ids
    format: str = "auto"  # reader of the data; auto: detected from the content
    template: str = "auto"  # auto: the tokenizer's own chat template; else a shipped name or a .jinja file
    thinking: Thinking = "keep"  # keep: learn the rows' own thinking; none: leave it out, ask without a think block
    mask: MaskName = "answers"  # which tokens carry loss
    adapter: Adapter = "full"
    train: str = ""  # with adapter=full: regular expression of the parameters that train; empty: all
    lora: Lora = field(default_factory=Lora)
    qlora: Qlora = field(default_factory=Qlora)
    prefix: Prefix = field(default_factory=Prefix)
    prompt: Prompt = field(default_factory=Prompt)
    ptuning: Ptuning = field(default_factory=Ptuning)
    ia3: Ia3 = field(default_factory=Ia3)
    tune: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Practice:
    """Small verifiable instructions in English and Chinese, in disjoint train and held-out parts."""

    train: Count = 16_000  # conversations to tune on
    heldout: Count = 848  # tasks to score with; none shares its words or numbers with the training part
    seed: CountOr0 = 0


@dataclass(frozen=True, slots=True)
class Score:
    """Exact match of greedy answers to held-out practice tasks."""

    model: str = ""  # model folder, "nano", or "@stage"
    tasks: str = ""  # "@stage" that made the tasks
    template: str = "auto"  # as in Tune; a base model needs one named


@dataclass(frozen=True, slots=True)
class Pretrain:
    """Make the embedded base: text and tokenizer from our own generators, then a model trained on that text."""

    steps: Count = 3000
    seed: CountOr0 = 0


Stage = Tune | Practice | Score | Pretrain


@dataclass(frozen=True, slots=True)
class Recipe:
    """Named stages in order. A stage reads what an earlier one made as "@name"."""

    name: str
    summary: str
    stages: tuple[tuple[str, Stage], ...]
