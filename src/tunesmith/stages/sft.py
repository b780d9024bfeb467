"""Carry out a Tune stage: load, gather, prove, train."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Tune

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tunesmith.objectives.base import Objective
    from tunesmith.stages.examples import Examples
    from tunesmith.tune.job import Job
    from tunesmith.tune.watch import Watcher

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tuned:
    """`summary` is what --json prints."""

    path: Path
    summary: dict[str, Any]


def run(stage: Tune, out: Path, resume: bool, watch: "Watcher") -> Tuned:
    """Tune `stage.base` into `out`. Raises UserError, and ProofError when a rule or a proof fails."""
    from tunesmith.tune.run import tune
    from tunesmith.tune.tracking import library
    from tunesmith.tune.workspace import refuse_occupied

    refuse_occupied(out, resume)
    for name in stage.tune.track:
        library(name)
    job = make_job(stage, watch.say)
    result = tune(job, out, resume, watch)
    summary = {
        "model": str(result.path),
        "counts": dict(job.counts),
        "proofs": [proof.to_json() for proof in result.proofs],
        "metrics": result.metrics,
        "seconds": round(result.seconds, 1),
    }
    return Tuned(result.path, summary)


def plan(stage: Tune, watch: "Watcher") -> dict[str, Any]:
    """What tuning would take: a Forecast as JSON."""
    from tunesmith.tune.forecast import forecast

    return forecast(make_job(stage, watch.say), watch).to_json()


def make_job(stage: Tune, say: Say) -> "Job":
    """Base, rows and proofs of rendering, as tuning wants them."""
    if not stage.base:
        raise UserError(tr("no base model given"), tr("add --base (a model folder, a hub id, or nano)"))
    from tunesmith.models.load import load_tokenizer
    from tunesmith.models.opening import opening_of
    from tunesmith.stages.examples import gather
    from tunesmith.text.recorded import recorded_prompts
    from tunesmith.tune.job import Job
    from tunesmith.tune.prepare import load_base

    tokenizer = load_tokenizer(stage.base)
    made = gather(stage, tokenizer, say, opening_of(stage.base))
    tell(made, say)
    renderer = made.renderer
    if renderer is not None:
        tokenizer.chat_template = renderer.chat_template
    model = load_base(stage, say)
    return Job(
        model=model,
        tokenizer=tokenizer,
        examples=made.examples,
        stage=stage,
        inputs=made.inputs | {"base": base_hash(stage.base)},
        proofs=made.proofs,
        stop_ids=renderer.stop_ids if renderer else (),
        new_tokens=renderer.added_ids if renderer else (),
        counts=made.counts,
        prompts=recorded_prompts(renderer) if renderer else (),
        objective=objective_for(model),
    )


def objective_for(model: "PreTrainedModel") -> "Objective":
    """Next-token prediction; of an encoder–decoder, that of the answer by its decoder."""
    from tunesmith.objectives.causal import CrossEntropy
    from tunesmith.objectives.seq2seq import AnswerCrossEntropy

    return AnswerCrossEntropy() if model.config.is_encoder_decoder else CrossEntropy()


def base_hash(base: str) -> str:
    from tunesmith.models.load import content_hash

    return content_hash(base)


def tell(made: "Examples", say: Say) -> None:
    """What became of the rows, and which rules were checked."""
    counts = made.counts
    say(tr("{read} read, {kept} kept, {refused} refused, {too_long} too long", **counts))
    for refusal in made.refusals[:3]:
        say(f"  {refusal}")
    if len(made.refusals) > 3:
        say(tr("  … and {count} more; tunesmith data inspect lists them", count=len(made.refusals) - 3))
    say(
        tr(
            "{examples} examples, {tokens} tokens, {supervised} of them supervised",
            **{key: f"{counts[key]:,}" for key in ("examples", "tokens", "supervised")},
        )
    )
    for proof in made.proofs:
        say(f"  ✓ {proof.name}  {proof.detail}  ({proof.checked:,})")
    if made.renderer and made.renderer.added:
        say(tr("control tokens added to the vocabulary: {tokens}", tokens=", ".join(map(repr, made.renderer.added))))


def with_inputs(stage: Tune, base: str | None, data: tuple[str, ...]) -> Tune:
    """The stage with what --base and --data say."""
    return replace(stage, base=base or stage.base, data=data or stage.data)
