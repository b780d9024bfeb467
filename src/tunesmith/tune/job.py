"""What one tuning run is made from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tunesmith.batch import Example
from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr
from tunesmith.models.load import positions
from tunesmith.objectives.base import Objective
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.proof import Proof
from tunesmith.recipe import Budget, Prefix, Prompt, Ptuning, Tune
from tunesmith.tune import zero
from tunesmith.tune.feed import fingerprint

# settings of the budget that a resumed run may change: they leave the result as it is
FREE = ("samples", "sharding", "track")


SHORTEST = 2  # tokens of a row: one that is read, and one that is learnt


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    inputs      content hashes of what was read, by name; kept in the manifest, and asked to be the same on resume
    proofs      made before (by rendering); kept in the manifest
    stop_ids    tokens at which generation stops, beside those of the model
    new_tokens  ids that the model has not learnt though its embedding has room for them;
                ids beyond the embedding are found without being told
    counts      what became of the rows that were read; kept in the manifest
    prompts     a few as training writes them (text.recorded); kept in the manifest for those who serve the model
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    examples: Sequence[Example]
    stage: Tune
    inputs: Mapping[str, str]
    proofs: Sequence[Proof] = ()
    stop_ids: tuple[int, ...] = ()
    new_tokens: tuple[int, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    prompts: Sequence[Mapping[str, Any]] = ()
    objective: Objective = field(default_factory=CrossEntropy)

    def identity(self) -> dict[str, Any]:
        """What the run depends on besides the code, as JSON gives it back."""
        config = asdict(self.stage)
        for name in FREE:
            del config["tune"][name]
        parts = {"config": config, "inputs": dict(self.inputs), "examples": fingerprint(self.examples)}
        return dict(json.loads(json.dumps(parts)))

    @property
    def pad(self) -> int:
        """Any token would do: nothing sees padding, and nothing is asked of it."""
        found = self.tokenizer.pad_token_id
        return int(found) if isinstance(found, int) else 0


def refuse_contradictions(job: Job) -> None:
    """Settings of which one would be passed over in silence, or that cannot be met here."""
    stage = job.stage
    refuse_unavailable(stage.tune)
    zero.refuse(stage)
    if job.model.config.is_encoder_decoder:
        refuse_for_encoders(stage)
    if stage.tune.precision == "bf16_sr" and stage.adapter != "full":
        raise UserError(
            tr("tune.precision=bf16_sr would round the base, which an adapter leaves as it is"),
            tr("set tune.precision=bf16, or adapter=full"),
        )
    if stage.adapter != "full" and stage.train:
        raise UserError(
            tr(
                "train={pattern} chooses among the model's own parameters, and adapter={adapter} trains none of them",
                pattern=stage.train,
                adapter=stage.adapter,
            ),
            tr("leave train empty, or set adapter=full"),
        )
    if stage.adapter == "qlora" and stage.lora.variant == "pissa":
        raise UserError(
            tr("lora.variant=pissa takes a part out of the base's weights, and adapter=qlora holds them in 4 bits"),
            tr("set adapter=lora, or another lora.variant"),
        )
    if virtual_tokens(stage) and stage.tune.gradient_checkpointing:
        raise UserError(
            tr(
                "gradient checkpointing drops the keys and values by which adapter={adapter} works",
                adapter=stage.adapter,
            ),
            tr("set tune.gradient_checkpointing=false"),
        )
    splits = stage.adapter == "full" or (stage.adapter == "lora" and stage.lora.variant != "pissa")
    if stage.tune.sharding == "full" and not splits:
        raise UserError(
            tr("tune.sharding=full splits a model that trains in full or by plain LoRA, rsLoRA or DoRA"),
            tr("set tune.sharding=none: an adapter leaves little to split"),
        )
    if stage.tune.sharding == "full" and stage.tune.optimizer == "adafactor":
        raise UserError(
            tr("tune.optimizer=adafactor sums over rows and columns that tune.sharding=full has on several processes"),
            tr("set tune.optimizer=adamw, or tune.sharding=none"),
        )
    if stage.tune.sharding == "tensor":
        refuse_for_tensor(stage)
    if job.stage.tune.keep == "best" and not job.stage.tune.eval_share:
        raise UserError(
            tr("tune.keep=best needs examples to measure by, and tune.eval_share is 0"),
            tr("set tune.eval_share, e.g. to 0.02"),
        )


def refuse_for_encoders(stage: Tune) -> None:
    """Techniques that were made for one pile of layers, and would do nothing or half their work in two."""
    one_sided = {
        "tune.neftune_alpha": bool(stage.tune.neftune_alpha),
        "tune.residual_dropout": bool(stage.tune.residual_dropout),
        f"adapter={stage.adapter}": bool(virtual_tokens(stage)),
        "tune.sharding=tensor": stage.tune.sharding == "tensor",
    }
    for name, asked in one_sided.items():
        if asked:
            raise UserError(
                tr("{name} is made for models without an encoder, and this base has one", name=name),
                tr("leave it out, or use a causal base"),
            )


def refuse_for_tensor(stage: Tune) -> None:
    """What asks for whole layers: DoRA for the length of their columns, other adapters' vectors for their width."""
    budget = stage.tune
    if stage.adapter != "full" and (stage.adapter != "lora" or stage.lora.variant not in ("plain", "rslora")):
        raise UserError(
            tr("tune.sharding=tensor splits a model that trains in full or by plain LoRA or rsLoRA"),
            tr("set tune.sharding=none, or adapter=lora with lora.variant=plain"),
        )
    needs_whole = {
        "tune.optimizer=adafactor": budget.optimizer == "adafactor",
        "tune.optimizer=adamw8bit": budget.optimizer == "adamw8bit",
        "tune.precision=bf16_sr": budget.precision == "bf16_sr",
        "tune.liger=true": budget.liger,
        "tune.compile=true": budget.compile,
    }
    for name, asked in needs_whole.items():
        if asked:
            raise UserError(
                tr("{name} works on whole layers, and tune.sharding=tensor leaves each process a part", name=name),
                tr("leave it out, or set tune.sharding=none"),
            )


def refuse_unavailable(budget: Budget) -> None:
    """Techniques for which this machine lacks a package or a GPU."""
    if budget.liger and not torch.cuda.is_available():
        raise UserError(
            tr("tune.liger=true needs a GPU with CUDA: its kernels are Triton's"), tr("set tune.liger=false")
        )
    if budget.liger and not find_spec("liger_kernel"):
        raise missing_extra("liger-kernel", "liger", "tune.liger=true")
    if budget.optimizer == "adamw8bit" and not find_spec("bitsandbytes"):
        raise missing_extra("bitsandbytes", "low-memory", "tune.optimizer=adamw8bit")


def virtual_tokens(stage: Tune) -> int:
    """Places that the stage's soft prompt will take before the text; 0 where it learns none."""
    prompts: dict[str, Prefix | Prompt | Ptuning] = {
        "prefix": stage.prefix,
        "prompt": stage.prompt,
        "ptuning": stage.ptuning,
    }
    return prompts[stage.adapter].tokens if stage.adapter in prompts else 0


def refuse_unusable(job: Job) -> None:
    """Every example must teach something, in tokens that the tokenizer has, and fit into the model."""
    if not job.examples:
        raise UserError(
            tr("there is nothing to train on: no example was kept"), tr("look at the refusals of data inspect")
        )
    size, longest = vocabulary_size(job.tokenizer), positions(job.model) - virtual_tokens(job.stage)
    if virtual_tokens(job.stage) and longest < SHORTEST:
        raise no_room(job)
    for example in job.examples:
        if not any(example.weights[1:]):
            raise UserError(
                tr("{origin}: no token of this example is supervised", origin=example.origin),
                tr("leave the row out, or choose another mask"),
            )
        if bool(example.encoder_ids) != bool(job.model.config.is_encoder_decoder):
            raise UserError(
                tr(
                    "{origin}: rendered for another kind of model than {kind}",
                    origin=example.origin,
                    kind=type(job.model).__name__,
                ),
                tr("an encoder–decoder learns from a prompt and its answer apart, a causal model from one row"),
            )
        if example.longest > longest:
            raise UserError(
                tr(
                    "{origin}: {length} tokens, and the model can hold {limit}",
                    origin=example.origin,
                    length=example.longest,
                    limit=longest,
                ),
                tr("set tune.max_length={limit}", limit=longest),
            )
        ids = example.encoder_ids + example.ids
        if max(ids) >= size or min(ids) < 0:
            raise UserError(
                tr("{origin}: a token id lies outside the tokenizer's {size}", origin=example.origin, size=size),
                tr("render the data with the tokenizer that you tune with"),
            )


def no_room(job: Job) -> UserError:
    """A soft prompt that leaves the text no place; told with the most that would leave enough for the rows."""
    held, name = positions(job.model), f"{job.stage.adapter}.tokens"
    left = held - max(example.longest for example in job.examples)
    return UserError(
        tr(
            "{name}={count} leaves no room for text: the model can hold {limit} tokens in all",
            name=name,
            count=virtual_tokens(job.stage),
            limit=held,
        ),
        tr("set {name}={count} or lower", name=name, count=left if left > 0 else held // 2),
    )


def vocabulary_size(tokenizer: PreTrainedTokenizerFast) -> int:
    """One more than the highest id; ids may have gaps."""
    return max(tokenizer.get_vocab().values()) + 1


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
