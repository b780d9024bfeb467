"""The model as it trains: on its device, with its vocabulary grown, adapted or frozen as the recipe says."""

import warnings

import torch
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.load import merged
from tunesmith.models.surgery.grow_vocabulary import GrowVocabulary, rows
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.train import Train
from tunesmith.proof import Proof
from tunesmith.tune import proofs
from tunesmith.tune.job import Job, vocabulary_size


def prepare(job: Job, device: torch.device, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model ready to train, and the proof that an adapter (if any) starts as nothing."""
    model = merged(job.model).to(device)  # type: ignore[arg-type]  # transformers' annotation lacks self
    if job.stage.tune.gradient_checkpointing:
        forget_activations(model)
    size = vocabulary_size(job.tokenizer)
    new = tuple(sorted({*job.new_tokens, *range(rows(model), size)}))
    if new:
        model = GrowVocabulary(size, new)(model)
    if job.stage.adapter == "lora":
        model, proof = proofs.adapt(model, Lora(job.stage.lora, new), sample)
        return model, [proof]
    return Train(job.stage.train)(model), []  # the empty pattern matches all


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
