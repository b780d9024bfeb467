"""Checks on the user's own model and rows, before the first step and on the saved result.

All run in fp32 with dropout off, so that a difference means a fault and not noise.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.messages import tr
from tunesmith.models.adapted import ask
from tunesmith.models.inputs import inputs
from tunesmith.models.load import load_model
from tunesmith.models.surgery.base import Surgery
from tunesmith.objectives.base import Objective
from tunesmith.proof import Proof
from tunesmith.tune.feed import collate
from tunesmith.tune.parallel import compute, device

LIMIT = 1e-4  # relative; fp32 sums in another order differ by about 1e-6
ROWS = 4


def sample(examples: Sequence[Example], micro_tokens: int) -> list[Example]:
    """A few rows of different length, from the shortest to the longest that fit one micro-batch together."""
    by_length = sorted(examples, key=len)
    fitting = [example for example in by_length if len(example) * ROWS <= micro_tokens] or by_length[:1]
    last = len(fitting) - 1
    return [fitting[place] for place in sorted({round(last * part / (ROWS - 1)) for part in range(ROWS)})]


def adapt(model: PreTrainedModel, surgery: Surgery, rows: Sequence[Example]) -> tuple[PreTrainedModel, Proof]:
    """The model after the surgery, and the proof that it computes what it did before."""
    before = [logits(model, row) for row in rows]
    model = surgery(model)
    return model, identity([logits(model, row) for row in rows], before)


def adapter_idle(model: PreTrainedModel, rows: Sequence[Example]) -> Proof:
    """The same proof of a model that came with its adapter: what it computes with and without."""
    found = [logits(model, row) for row in rows]
    with cast(Any, model).disable_adapter():
        return identity(found, [logits(model, row) for row in rows])


def identity(found: Sequence[Tensor], before: Sequence[Tensor]) -> Proof:
    apart = max(distance(new, old) for new, old in zip(found, before, strict=True))
    detail = tr(
        "with the new adapter the logits differ by {apart} (relative) from those of the base", apart=f"{apart:.1e}"
    )
    return judged("adapter_identity", len(found), detail, apart)


def soft_prompt(model: PreTrainedModel, objective: Objective, rows: Sequence[Example], pad: int) -> list[Proof]:
    """A soft prompt that we hand over as keys and values does what it does in peft's wrapper, and can be learnt.

    It changes what the model computes from the start, so that there is no identity to prove.
    """
    model.eval()
    apart = max(distance(logits(model, row), by_peft(model, row)) for row in rows)
    detail = tr("the logits differ by {apart} (relative) from those that peft computes", apart=f"{apart:.1e}")
    return [judged("soft_prompt_as_in_peft", len(rows), detail, apart), prompt_learns(model, objective, rows, pad)]


@torch.no_grad()
def by_peft(model: PreTrainedModel, row: Example) -> Tensor:
    """[T, V] on the CPU; the places of the prompt itself are left out."""
    found: Tensor = model(input_ids=torch.tensor([row.ids], device=model.device)).logits[0]
    return found[-len(row) :].float().cpu()


def prompt_learns(model: PreTrainedModel, objective: Objective, rows: Sequence[Example], pad: int) -> Proof:
    """A model that passes the prompt over in silence would give it no gradient."""
    objective(model, collate(rows, pad).to(model.device)).loss.backward()
    parts = [part for part in cast(Any, model).prompt_encoder.parameters() if part.requires_grad]
    reached = sum(part.grad is not None and bool(part.grad.any()) for part in parts)
    model.zero_grad(set_to_none=True)
    detail = tr(
        "{reached} of {count} tensors of the soft prompt received a gradient", reached=reached, count=len(parts)
    )
    return Proof("soft_prompt_learns", reached == len(parts), len(parts), detail, float(reached), float(len(parts)))


def before_training(model: PreTrainedModel, objective: Objective, rows: Sequence[Example], pad: int) -> list[Proof]:
    """Padding, finiteness and freezing, by the loss and the gradient of a few rows."""
    model.eval()
    batch = collate(rows, pad).to(model.device)
    together = compute(model, objective, batch).loss
    terms = objective.terms(batch)
    (together / terms).backward()
    frozen = [frozen_untouched(model)] if any(not p.requires_grad for p in model.parameters()) else []
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        single = [collate([row], pad).to(model.device) for row in rows]
        alone = torch.stack([compute(model, objective, one).loss for one in single]).sum()
    return [
        padding_harmless(together.detach(), alone, len(rows)),
        finite((together / terms).detach(), len(rows)),
        *frozen,
    ]


def padding_harmless(together: Tensor, alone: Tensor, rows: int) -> Proof:
    apart = float((together - alone).abs() / alone.abs().clamp(min=1e-12))
    detail = tr(
        "the loss of {rows} rows padded together differs by {apart} from that of each alone",
        rows=rows,
        apart=f"{apart:.1e}",
    )
    return judged("padding_changes_nothing", rows, detail, apart)


def finite(loss: Tensor, rows: int) -> Proof:
    value = float(loss)
    detail = tr("the loss before the first step is {loss}", loss=f"{value:.4f}")
    return Proof("first_loss_is_finite", bool(torch.isfinite(loss)), rows, detail, value)


def frozen_untouched(model: PreTrainedModel) -> Proof:
    """Call it after a backward pass."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    reached = sum(parameter.grad is not None for parameter in frozen)
    learning = sum(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    detail = tr(
        "{reached} of {frozen} frozen tensors and {learning} trainable ones received a gradient",
        reached=reached,
        frozen=len(frozen),
        learning=learning,
    )
    return Proof("frozen_receive_no_gradient", reached == 0 and learning > 0, len(frozen), detail, float(reached), 0.0)


def saved_equals_trained(folder: Path, rows: Sequence[Example], trained: Sequence[Tensor]) -> Proof:
    """Load what was written and compare its logits with those of the model in memory."""
    loaded = load_model(str(folder)).to(device())  # type: ignore[arg-type]  # transformers' annotation lacks self
    apart = max(distance(logits(loaded, row), old) for row, old in zip(rows, trained, strict=True))
    detail = tr("loaded from disk, the saved model's logits differ by {apart} (relative)", apart=f"{apart:.1e}")
    return judged("saved_equals_trained", len(rows), detail, apart)


def judged(name: str, checked: int, detail: str, apart: float) -> Proof:
    return Proof(name, apart <= LIMIT, checked, detail, apart, LIMIT)


@torch.no_grad()
def logits(model: PreTrainedModel, row: Example) -> Tensor:
    """[T, V] on the CPU."""
    model.eval()
    found: Tensor = ask(model, **inputs(collate([row], pad=0).to(model.device))).logits[0]
    return found.float().cpu()


def distance(left: Tensor, right: Tensor) -> float:
    """Largest difference, as a share of the largest value; infinite if anything is not a number."""
    apart = float((left - right).abs().max() / right.abs().max().clamp(min=1e-12))
    return apart if apart == apart else float("inf")
