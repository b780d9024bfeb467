"""A plain folder with all weights: the model itself, or its adapter merged into the right base, and proof of that."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError
from tunesmith.export.order import Order
from tunesmith.export.settings import EXACT, Limits, MergeBase, Settings
from tunesmith.export.torch_subject import TorchSubject, open_torch
from tunesmith.export.verify import Reading, judge, read_both
from tunesmith.export.watch import Watch
from tunesmith.messages import tr
from tunesmith.models.load import ADAPTER, check_files, load_adapter, locate, merged, note_of, quiet
from tunesmith.proof import Proof
from tunesmith.tune.save import generation

FULL = "full"
# Merged into other numbers than those that it was trained on, an adapter makes another model, and often a better one:
# it is held to the loss alone.
OTHER_BASE = Limits(None, None, None, None, None, 0.05, 0.05)


@dataclass(frozen=True, slots=True)
class Whole:
    """
    folder  weights, tokenizer and template
    proofs  that merging lost nothing; none where nothing was merged
    report  what else was measured, for the manifest
    other   merged into other numbers than those that the adapter was trained on
    """

    folder: Path
    proofs: tuple[Proof, ...] = ()
    report: dict[str, Any] | None = None
    other: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """An adapter merged into one of its possible bases, and how it reads beside the model as it was trained."""

    base: str
    folder: Path
    readings: Sequence[Reading]

    @property
    def loss(self) -> float:
        """Nats a token."""
        places = sum(len(reading.divergences) for reading in self.readings)
        return sum(reading.losses[1] for reading in self.readings) / places

    def to_json(self) -> dict[str, Any]:
        places = sum(len(reading.divergences) for reading in self.readings)
        before = sum(reading.losses[0] for reading in self.readings) / places
        kl = float(sum(reading.divergences.sum() for reading in self.readings)) / places
        return {"base": self.base, "loss": self.loss, "loss_as_trained": before, "mean_kl": kl}


def refuse_other_shapes(reference: TorchSubject, model: str) -> None:
    """Raise UserError for a model that does not go on from its prompt."""
    if reference.model.config.is_encoder_decoder:
        raise UserError(
            tr("{model} is an encoder–decoder; exports are made of causal models", model=model),
            tr("serve it with transformers as it is"),
        )


def make_whole(order: Order, scratch: Path) -> Whole:
    """The folder of the model itself, or one below `scratch` in which its adapter is merged."""
    folder = locate(order.model)
    if not (folder / ADAPTER).is_file():
        check_files(folder)
        return Whole(folder)
    found = [candidate(order, base, scratch / base) for base in bases(folder, order.settings)]
    best = min(found, key=lambda one: one.loss)
    other = best.base == FULL
    judged = judge(best.readings, OTHER_BASE if other else EXACT)
    if len(found) > 1:
        tell(found, best, order.watch)
    report = {"chosen": best.base, "measured": [one.to_json() for one in found]}
    return Whole(best.folder, tuple(replace(proof, name=f"merge.{proof.name}") for proof in judged), report, other)


def bases(folder: Path, settings: Settings) -> tuple[str, ...]:
    """What the adapter could be merged into: a base that was never quantized is only itself."""
    if not note_of(folder).get("quantized"):
        return ("as_trained",)
    every: dict[MergeBase, tuple[str, ...]] = {
        "better": ("dequantised", FULL),
        "full": (FULL,),
        "dequantised": ("dequantised",),
    }
    return every[settings.base]


def candidate(order: Order, base: str, folder: Path) -> Candidate:
    """Merge in full precision, write, and read back what was written."""
    order.watch.say(tr("merging the adapter into its base ({base})", base=base))
    write_merged(order, base == FULL, folder)
    with order.watch.counting(tr("verifying the merge")) as count:
        readings = read_both(order.reference, open_torch(folder), order.cases, order.settings.answer_tokens, count)
    return Candidate(base, folder, readings)


def write_merged(order: Order, full: bool, folder: Path) -> None:
    quiet()
    whole: Any = merged(load_adapter(locate(order.model), "fp32", quantized=not full))
    renderer = order.reference.renderer
    whole.generation_config = generation(whole, renderer.tokenizer, renderer.stop_ids)
    whole.save_pretrained(folder)
    renderer.tokenizer.save_pretrained(folder)


def tell(found: Sequence[Candidate], best: Candidate, watch: Watch) -> None:
    for one in found:
        told = one.to_json()
        watch.say(
            tr(
                "  into the {base} base: loss {loss} (as trained {before}), mean divergence {kl}",
                base=one.base,
                loss=f"{told['loss']:.4f}",
                before=f"{told['loss_as_trained']:.4f}",
                kl=f"{told['mean_kl']:.2e}",
            )
        )
    watch.say(tr("the better: {base}", base=best.base))
