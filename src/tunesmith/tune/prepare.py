"""The model as it trains: on its device, with its vocabulary grown, adapted or frozen as the recipe says."""

import math
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.inputs import inputs
from tunesmith.models.load import BROKEN, brief, load_model, load_quantized, merged
from tunesmith.models.skeleton import UnfitError, skeleton
from tunesmith.models.surgery.base import Surgery
from tunesmith.models.surgery.grow_vocabulary import GrowVocabulary, rows
from tunesmith.models.surgery.ia3 import Ia3
from tunesmith.models.surgery.liger import Liger
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.prefix import Prefix
from tunesmith.models.surgery.prompt import Prompt
from tunesmith.models.surgery.ptuning import Ptuning
from tunesmith.models.surgery.quantize import Quantize4bit
from tunesmith.models.surgery.residual_dropout import ResidualDropout
from tunesmith.models.surgery.train import Train
from tunesmith.proof import Proof
from tunesmith.recipe import Tune
from tunesmith.tune import proofs, spread, tensor_parallel
from tunesmith.tune.feed import collate
from tunesmith.tune.job import Job, virtual_tokens, vocabulary_size
from tunesmith.tune.parallel import running, shard

T = TypeVar("T")
DEMANDING = ("dora", "pissa")  # they read the weights that plain LoRA stands beside
UNMET = 10  # times less probable than one word in the whole vocabulary


def load_base(stage: Tune, say: Callable[[str], None] = lambda _: None) -> PreTrainedModel:
    """The model that the stage tunes, as its adapter wants it: in 4 bits from the first, or in fp32.

    Where several processes will split it, without its weights: each reads its own part later.
    """
    if stage.adapter == "qlora":
        return load_quantized(stage.base, Quantize4bit(stage.qlora.double))
    if stage.tune.sharding == "full" and running():
        try:
            return spread.base(stage)
        except UnfitError as reason:
            say(tr("each process reads the whole base first: {reason}", reason=reason))
    return load_model(stage.base)


def prepare(job: Job, device: torch.device, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model ready to train, and the proofs that an adapter (if any) starts as it should."""
    if job.stage.tune.sharding not in ("full", "tensor"):
        return changed(job, merged(job.model).to(device), sample)  # type: ignore[arg-type]  # lacks self
    if not running():
        raise UserError(
            tr(
                "tune.sharding={sharding} splits the model over several processes, and there is one",
                sharding=job.stage.tune.sharding,
            ),
            tr("add --processes N, or set tune.sharding=none"),
        )
    if spread.weightless(job.model):
        return read_apart(job, sample)
    model, made = changed(job, merged(job.model), sample)
    if job.stage.tune.sharding == "full":
        return shard(model), made
    model, proof = tensor_parallel.split_proved(model, job.objective, sample, job.pad)
    return model, [*made, proof]


def read_apart(job: Job, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model split over all processes, of which each has read its part alone, and the proofs of an adapter."""
    new = added(job, job.model)
    model = apart(job, new)
    if unmet := unlearnt(job, model, sample) - new:
        model = apart(job, new, unmet)
    return model, [] if job.stage.adapter == "full" else [proofs.adapter_idle(model, sample)]


def apart(job: Job, *new: set[int]) -> PreTrainedModel:
    """The base, changed as the recipe says, in parts."""
    torch.manual_seed(job.stage.tune.seed)  # an adapter starts as it does in one process
    model, places = skeleton(job.stage.base)
    with spread.standing_in(model, places, whole=any(new)):
        readied(job, model)
        for tokens in new:
            grow(job, model, tokens)
        if job.stage.adapter == "full":
            model = Train(job.stage.train)(model)
        else:
            model = altered(job, model, lambda: surgery(job, tuple(sorted(set().union(*new))))(model))
        model = with_dropout(job, model)
    return spread.shard_unread(model, places)


def changed(job: Job, model: PreTrainedModel, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model after every surgery that the recipe asks for, with their proofs."""
    model, made = learning(job, model, sample)
    return with_dropout(job, model), made


def with_dropout(job: Job, model: PreTrainedModel) -> PreTrainedModel:
    share = job.stage.tune.residual_dropout
    return ResidualDropout(share)(model) if share else model


def learning(job: Job, model: PreTrainedModel, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model with its words, its adapter and what trains of it."""
    readied(job, model)
    new = added(job, model)
    grow(job, model, new)
    unmet = unlearnt(job, model, sample) - new
    grow(job, model, unmet)
    if job.stage.adapter == "full":
        return Train(job.stage.train)(model), []  # the empty pattern matches all
    return adapt(job, model, surgery(job, tuple(sorted(new | unmet))), sample)


def readied(job: Job, model: PreTrainedModel) -> None:
    """Changes in how it computes."""
    if job.stage.tune.gradient_checkpointing:
        forget_activations(model)
    if job.stage.tune.liger:
        Liger()(model)


def added(job: Job, model: PreTrainedModel) -> set[int]:
    """Tokens that the model has no embedding of, or none that it learnt."""
    return {*job.new_tokens, *range(rows(model), vocabulary_size(job.tokenizer))}


def grow(job: Job, model: PreTrainedModel, tokens: set[int]) -> None:
    if tokens:
        GrowVocabulary(vocabulary_size(job.tokenizer), tuple(sorted(tokens)))(model)


def surgery(job: Job, new: tuple[int, ...]) -> Surgery:
    """The adapter that the stage names, with its settings."""
    stage = job.stage
    if stage.adapter == "prefix":
        return Prefix(stage.prefix, new)
    if stage.adapter == "prompt":
        return Prompt(stage.prompt, new, tuple(job.tokenizer.encode(stage.prompt.init, add_special_tokens=False)))
    if stage.adapter == "ptuning":
        return Ptuning(stage.ptuning, new)
    return Ia3(stage.ia3, new) if stage.adapter == "ia3" else Lora(stage.lora, new)


def adapt(
    job: Job, model: PreTrainedModel, change: Surgery, sample: list[Example]
) -> tuple[PreTrainedModel, list[Proof]]:
    """The adapted model, and what proves that it starts as it should."""
    if virtual_tokens(job.stage):
        made = altered(job, model, lambda: change(model))
        return made, altered(job, model, lambda: proofs.soft_prompt(made, job.objective, sample, job.pad))
    model, proof = altered(job, model, lambda: proofs.adapt(model, change, sample))
    return model, [proof]


def altered(job: Job, model: PreTrainedModel, change: Callable[[], T]) -> T:
    """What the change gives, or why the model cannot be adapted so."""
    try:
        return change()
    except torch.OutOfMemoryError:  # says nothing about the adapter; tune tells what to lower
        raise
    except (NotImplementedError, *BROKEN) as error:
        setting, cure = blamed(job.stage)
        raise UserError(
            tr(
                "this kind of model ({kind}) does not take {setting}: {reason}",
                kind=type(model).__name__,
                setting=setting,
                reason=brief(error),
            ),
            cure,
        ) from error


def blamed(stage: Tune) -> tuple[str, str]:
    """The setting by which a model could not be adapted, and what to set instead."""
    if stage.adapter in ("lora", "qlora") and stage.lora.variant in DEMANDING:
        return f"lora.variant={stage.lora.variant}", tr("set lora.variant=plain")
    if stage.adapter == "lora":
        return "adapter=lora", tr("name other modules in lora.targets, or set adapter=full")
    return f"adapter={stage.adapter}", tr("choose another adapter, e.g. adapter=lora")


@torch.no_grad()
def unlearnt(job: Job, model: PreTrainedModel, sample: list[Example]) -> set[int]:
    """Control tokens in the rows that the base expects far less than a blind guess would: it never met them.

    An adapter leaves the embeddings alone and could not learn to end a turn with such a token, so their rows train
    too. (Training in full reaches them anyway.)
    """
    if job.stage.adapter == "full":
        return set()
    model.eval()
    met: dict[int, list[float]] = {}
    for row in sample:
        batch = collate([row], job.pad).to(model.device)
        logits = model(**inputs(batch)).logits[0, : len(row.ids) - 1]
        costs = cross_entropy(logits.float(), torch.tensor(row.ids[1:], device=model.device), reduction="none")
        for token, cost in zip(row.ids[1:], costs.tolist(), strict=True):
            met.setdefault(token, []).append(cost)
    control = {*job.tokenizer.all_special_ids, *job.stop_ids}
    unmet = math.log(UNMET * rows(model))
    return {token for token, costs in met.items() if token in control and sum(costs) > unmet * len(costs)}


def forget_activations(model: PreTrainedModel) -> None:
    """Compute activations twice instead of keeping them."""
    if not model.supports_gradient_checkpointing:
        raise UserError(
            tr("this kind of model ({kind}) has no gradient checkpointing", kind=type(model).__name__),
            tr("set tune.gradient_checkpointing=false"),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the name that every transformers 5 has
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
