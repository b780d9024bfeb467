"""Examples and a model in, a folder with the tuned model and its papers out."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tunesmith.artifact import MANIFEST, hash_file, versions
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.adapted import bare
from tunesmith.models.load import brief, read_object
from tunesmith.models.precision import Precision, choose, hold_in_bf16, in_fp32
from tunesmith.models.surgery.base import sizes
from tunesmith.objectives.neftune import Neftune
from tunesmith.proof import Proof, require
from tunesmith.tune import checkpoint, compiling, feed, parallel, proofs, shortcuts
from tunesmith.tune.checkpoint import State
from tunesmith.tune.course import Course
from tunesmith.tune.due import Due
from tunesmith.tune.job import Job, flat, refuse_contradictions, refuse_unusable
from tunesmith.tune.memory import MOST, fitted
from tunesmith.tune.parallel import leads, wait_for_all
from tunesmith.tune.plot import plot_run
from tunesmith.tune.prepare import prepare
from tunesmith.tune.samples import remembers
from tunesmith.tune.save import Saver
from tunesmith.tune.shortcuts import Way
from tunesmith.tune.tracking import last_logged, tracked
from tunesmith.tune.watch import Silent, Watcher, peak_memory
from tunesmith.tune.workspace import EVALUATIONS, LOG, Workspace, writing

SILENT = Silent()
BEST = ".best"  # under checkpoints, until the run is finished


@dataclass(frozen=True, slots=True)
class TuneResult:
    """`seconds` of training, over all resumes."""

    path: Path
    metrics: dict[str, Any]
    proofs: list[Proof]
    seconds: float


def tune(job: Job, out: Path, resume: bool = False, watch: Watcher = SILENT) -> TuneResult:
    """Tune a model and leave it in `out`, which appears with the first checkpoint or at the end.

    A refusal before that leaves nothing. With `resume`, goes on from the last checkpoint in `out`, and ends with
    the same weights and losses as if nothing had happened (bit for bit in fp32 on a CPU); where there is no
    checkpoint yet, it begins anew.
    """
    space = Workspace(out)
    with space.alone():
        return tune_in(space, job, resume, watch)


def tune_in(space: Workspace, job: Job, resume: bool, watch: Watcher) -> TuneResult:
    if leads():
        space.begin(resume)
    wait_for_all()
    try:
        refuse_contradictions(job)
        refuse_unusable(job)
        if space.finished:
            return finished(job, space, watch)
        last = space.checkpoints / "last"
        with writing(space.out):
            logged = last_logged(space)
            course = begin(job, space, checkpoint.read_state(last) if last.is_dir() else None, watch)
            with tracked(watch, job.stage, space, logged) as course.watch:
                course.run()
            return conclude(job, course)
    except torch.OutOfMemoryError as error:
        raise UserError(
            tr("out of memory: {reason}", reason=brief(error)),
            tr("lower tune.micro_tokens, set tune.gradient_checkpointing=true, or use adapter=lora"),
        ) from error
    finally:
        if leads():
            space.forget()


def begin(job: Job, space: Workspace, state: State | None, watch: Watcher) -> Course:
    """Everything up to the first step, proofs included; from a checkpoint, its state and its proofs."""
    budget = job.stage.tune
    if state:
        refuse_changed(state.identity, job.identity())
    torch.manual_seed(budget.seed)
    device = parallel.device()
    train, held = feed.split(job.examples, budget.eval_share)
    due = Due.of(len(feed.plan(len(train), budget)), len(train), bool(held), budget)
    sample = proofs.sample(train, budget.micro_tokens or MOST)
    model, made = prepare(job, device, sample)
    if state is None:
        way, proof = shortcuts.choose(
            model, job.objective, sample, job.pad, budget.packing, not budget.neftune_alpha, watch.say
        )
        made += [*proofs.before_training(model, job.objective.with_fused(way.fused), sample, job.pad), proof]
        require(made, tr("nothing was trained; this model or recipe cannot be tuned as it is"))
        precision = choose(budget.precision, device)
        layout = way.layout(0, job.pad, budget.loss_per)
        keeps = due.checkpoints > 0
        fit = fitted(model, job.objective.with_fused(way.fused), layout, train, budget, precision, keeps)
        if budget.compile:
            batches = compiling.probe(train, way.layout(fit, job.pad, budget.loss_per), budget)
            way, proof = compiling.choose(model, job.objective, sample, job.pad, way, batches, precision)
            watch.say(proof.detail)
            made.append(proof)
        state = first_state(job, made, way, precision, fit)
    else:
        require(made, tr("go on with the tune.sharding that the run was begun with"))
        way = shortcuts.again(model, state.way)
    parallel.own_randomness(model, budget.seed)
    save = Saver(job.tokenizer, job.stop_ids, job.stage.base)
    layout, objective = way.layout(state.micro_tokens, job.pad, budget.loss_per), job.objective.with_fused(way.fused)
    if budget.neftune_alpha:
        objective = Neftune(objective, budget.neftune_alpha)
    if budget.precision == "bf16_sr":
        hold_in_bf16(model)
    ratio = job.stage.lora.lr_ratio
    course = Course(model, objective, train, held, layout, budget, space, save, watch, state, due, ratio)
    if state.step:
        course.resume()
    announce(course)
    return course


def first_state(job: Job, made: list[Proof], way: Way, precision: Precision, micro_tokens: int) -> State:
    every = [proof.to_json() for proof in (*job.proofs, *made)]
    return State(0, job.identity(), precision, 0.0, every, asdict(way), micro_tokens)


def refuse_changed(before: dict[str, Any], now: dict[str, Any]) -> None:
    """A resumed run must be the run that was begun."""
    old, new = flat(before), flat(now)
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if changed:
        key = changed[0]
        raise UserError(
            tr("--resume: {key} was {old} and is now {new}", key=key, old=old.get(key), new=new.get(key)),
            tr("repeat the settings and data of the interrupted run, or choose another --out"),
        )


def announce(course: Course) -> None:
    trainable, total = sizes(course.model)
    course.watch.say(
        tr(
            "{trainable} of {total} parameters train, in {precision} on {device}, with {way}; "
            "{train} examples, {held} held out",
            trainable=f"{trainable:,}",
            total=f"{total:,}",
            precision=course.state.precision,
            way=Way(**course.state.way),
            device=course.model.device.type,
            train=len(course.train),
            held=len(course.held),
        )
    )
    if not course.budget.micro_tokens and course.state.micro_tokens < MOST:
        course.watch.say(tr("as fit the memory: {tokens} tokens in a forward pass", tokens=course.state.micro_tokens))
    if course.held and course.budget.samples and not remembers(course.model, course.precision):
        course.watch.say(
            tr(
                "no sample answers: {kind} does not hand out what it keeps of the tokens it has read",
                kind=type(bare(course.model)).__name__,
            )
        )
    if course.state.step:
        course.watch.say(tr("going on after step {step}", step=course.state.step))


def conclude(job: Job, course: Course) -> TuneResult:
    """Save, prove that what was saved is what was trained, and put it in place."""
    wait_for_all()  # until the last checkpoint is in place, and OUT perhaps with it
    space, state, seconds = course.space, course.state, course.seconds
    if job.stage.tune.keep == "best" and state.best_step not in (None, state.step):
        course.back_to("best")
    made = space.folder / ".model"
    if leads():
        shutil.rmtree(made, ignore_errors=True)
    rows = proofs.sample(course.train, course.layout.micro_tokens)
    with course.averaged():
        course.save(course.model, made)
        with in_fp32(course.model):
            trained = [proofs.logits(course.model, row) for row in rows]
    keep_best(course)
    if not leads():
        return TuneResult(space.out, {}, [], seconds)
    proof = proofs.saved_equals_trained(made, rows, trained)
    if not proof.passed:
        shutil.rmtree(made)
    require([proof], tr("report this with the model's config.json; only checkpoints, if any, were kept"))
    plot_run(space.records(LOG), space.records(EVALUATIONS), made / "loss.png")
    every = [*(Proof(**known) for known in state.proofs), proof]
    result = TuneResult(space.out, metrics(course), every, seconds)
    space.finish(made, manifest(job, course, result, made))
    tidy(space.checkpoints)
    return result


def keep_best(course: Course) -> None:
    """Where OUT holds the last weights and others were better, make a model of those too: checkpoints/best."""
    if course.budget.keep == "last" and course.state.best_step not in (None, course.state.step):
        course.back_to("best")
        with course.averaged():
            course.save(course.model, course.space.checkpoints / BEST)


def metrics(course: Course) -> dict[str, Any]:
    """Figures of the whole run, resumed or not."""
    log, evaluations, state = course.space.records(LOG), course.space.records(EVALUATIONS), course.state
    trainable, total = sizes(course.model)
    found = {
        "steps": state.step,
        "first_loss": log[0]["loss"],
        "last_loss": log[-1]["loss"],
        "examples": len(course.train),
        "supervised_tokens": sum(line["supervised_tokens"] for line in log),
        "precision": state.precision,
        "trainable_parameters": trainable,
        "parameters": total,
        "peak_memory_bytes": peak_memory(),
    }
    if evaluations:
        found |= {"held_out": len(course.held), "eval_loss_before": evaluations[0]["loss"]}
        found |= {"eval_loss": evaluations[-1]["loss"], "best_eval_loss": state.best_loss, "best_step": state.best_step}
    return found


def manifest(job: Job, course: Course, result: TuneResult, folder: Path) -> dict[str, Any]:
    return {
        "kind": "model",
        **course.state.identity,
        "versions": versions(),
        "counts": dict(job.counts),
        "metrics": result.metrics,
        "proofs": [proof.to_json() for proof in result.proofs],
        "stop_ids": list(job.stop_ids),
        "prompts": list(job.prompts),
        "content": {file.name: hash_file(file) for file in sorted(folder.iterdir())},
        "seconds": round(result.seconds, 3),
    }


def tidy(folder: Path) -> None:
    """Of the checkpoints keep at most a model of the best."""
    best = folder / BEST
    if not best.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return
    for link in ("last", "best"):
        (folder / link).unlink(missing_ok=True)
    best.rename(folder / "best")
    for entry in folder.iterdir():
        if entry.name != "best":
            shutil.rmtree(entry)


def finished(job: Job, space: Workspace, watch: Watcher) -> TuneResult:
    """What a complete OUT says of itself, if it is the same run."""
    known = read_object(space.out / MANIFEST, tr("choose another --out"))
    now = job.identity()
    refuse_changed({part: known.get(part) for part in now}, now)
    watch.say(tr("{path} is already finished", path=space.out))
    return TuneResult(space.out, known["metrics"], [Proof(**proof) for proof in known["proofs"]], known["seconds"])
