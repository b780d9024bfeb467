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
from tunesmith.models.load import merged
from tunesmith.models.surgery.grow_vocabulary import GrowVocabulary, rows
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.train import Train
from tunesmith.proof import Proof
from tunesmith.tune import proofs
from tunesmith.tune.feed import collate
from tunesmith.tune.job import Job, vocabulary_size

UNMET = 10  # times less probable than one word in the whole vocabulary


def prepare(job: Job, device: torch.device, sample: list[Example]) -> tuple[PreTrainedModel, list[Proof]]:
    """The model ready to train, and the proof that an adapter (if any) starts as nothing."""
    model = merged(job.model).to(device)  # type: ignore[arg-type]  # transformers' annotation lacks self
    if job.stage.tune.gradient_checkpointing:
        forget_activations(model)
    size = vocabulary_size(job.tokenizer)
    new = {*job.new_tokens, *range(rows(model), size)}
    if new:
        model = GrowVocabulary(size, tuple(sorted(new)))(model)
    unmet = unlearnt(job, model, sample) - new
    if unmet:
        model = GrowVocabulary(size, tuple(sorted(unmet)))(model)
    if job.stage.adapter == "lora":
        model, proof = proofs.adapt(model, Lora(job.stage.lora, tuple(sorted(new | unmet))), sample)
        return model, [proof]
    return Train(job.stage.train)(model), []  # the empty pattern matches all


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
