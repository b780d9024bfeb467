"""The model as it trains: on its device, with its vocabulary grown, adapted or frozen as the recipe says."""

import math
import warnings

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.inputs import inputs
from tunesmith.models.load import BROKEN, brief, load_model, load_quantized, merged
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
from tunesmith.tune import proofs, tensor_parallel
from tunesmith.tune.feed import collate
from tunesmith.tune.job import Job, virtual_tokens, vocabulary_size
from tunesmith.tune.parallel import running, shard

UNMET = 10  # times less probable than one word in the whole vocabulary


def load_base(stage: Tune) -> PreTrainedModel:
    """The model that the stage tunes, as its adapter wants it: in 4 bits from the first, or in fp32."""
    if stage.adapter == "qlora":
        return load_quantized(stage.base, Quantize4bit(stage.qlora.double))
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
    model, made = changed(job, merged(job.model), sample)
    if job.stage.tune.sharding == "full":
        return shard(model), made
    model, proof = tensor_parallel.split_proved(model, job.objective, sample, job.pad)
    return model, [*made, proof]


def changed(job: Job, model: PreTrainedModel, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model after every surgery that the recipe asks for, with their proofs."""
    model, made = learning(job, model, sample)
    if job.stage.tune.residual_dropout:
        model = ResidualDropout(job.stage.tune.residual_dropout)(model)
    return model, made


def learning(job: Job, model: PreTrainedModel, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model with its words, its adapter and what trains of it."""
    if job.stage.tune.gradient_checkpointing:
        forget_activations(model)
    if job.stage.tune.liger:
        model = Liger()(model)
    size = vocabulary_size(job.tokenizer)
    new = {*job.new_tokens, *range(rows(model), size)}
    if new:
        model = GrowVocabulary(size, tuple(sorted(new)))(model)
    unmet = unlearnt(job, model, sample) - new
    if unmet:
        model = GrowVocabulary(size, tuple(sorted(unmet)))(model)
    if job.stage.adapter == "full":
        return Train(job.stage.train)(model), []  # the empty pattern matches all
    return adapt(job, model, surgery(job, tuple(sorted(new | unmet))), sample)


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
    """The adapted model, and what proves that it starts as it should; or why it cannot be adapted so."""
    try:
        if virtual_tokens(job.stage):
            model = change(model)
            return model, proofs.soft_prompt(model, job.objective, sample, job.pad)
        model, proof = proofs.adapt(model, change, sample)
        return model, [proof]
    except torch.OutOfMemoryError:  # says nothing about the adapter; tune tells what to lower
        raise
    except (NotImplementedError, *BROKEN) as error:
        raise UserError(
            tr(
                "this kind of model ({kind}) does not take adapter={adapter}: {reason}",
                kind=type(model).__name__,
                adapter=job.stage.adapter,
                reason=brief(error),
            ),
            tr("choose another adapter, e.g. adapter=lora"),
        ) from error


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
