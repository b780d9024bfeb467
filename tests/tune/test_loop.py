"""The loop: one gradient however the work is cut, one division, and a clear word when numbers break."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from tests.toys import CONFIGS, random_examples, tiny_model
from tunesmith import recipe
from tunesmith.batch import Batch, Example
from tunesmith.errors import UserError
from tunesmith.models.precision import Precision, choose
from tunesmith.models.surgery.lora import Lora
from tunesmith.objectives.base import Sums
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.recipe import Budget
from tunesmith.tune import feed
from tunesmith.tune.evaluate import held_out_loss
from tunesmith.tune.loop import Report, Work, accumulate, fit
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.schedule import schedule

MODEL = tiny_model()


def gradient(examples: list[Example], micro_tokens: int) -> Tensor:
    MODEL.zero_grad(set_to_none=True)
    accumulate(MODEL, Work(CrossEntropy(), feed.Layout(micro_tokens, 0).batches(examples)), "fp32")
    return torch.cat([parameter.grad.flatten() for parameter in MODEL.parameters() if parameter.grad is not None])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(2, 12), micro_tokens=st.integers(1, 300))
def test_the_gradient_does_not_depend_on_how_a_step_is_cut(seed: int, count: int, micro_tokens: int) -> None:
    examples = random_examples(count, seed)
    whole = gradient(examples, 10**6)
    torch.testing.assert_close(gradient(examples[::-1], micro_tokens), whole, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_the_mean_over_all_supervised_tokens() -> None:
    examples = [Example(tuple(range(30)), (0.0,) * 29 + (1.0,)), Example(tuple(range(40, 70)), (0.0,) + (1.0,) * 29)]
    ours = gradient(examples, 1)
    MODEL.zero_grad(set_to_none=True)
    batch = feed.collate(examples, 0)
    labels = batch.tokens.masked_fill(batch.weights == 0, -100)
    MODEL(input_ids=batch.tokens, labels=labels).loss.backward()
    theirs = torch.cat([parameter.grad.flatten() for parameter in MODEL.parameters() if parameter.grad is not None])
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def run(
    budget: Budget, precision: Precision = "fp32", kind: str = "llama", rank: int = 0, world: int = 1
) -> list[Report]:
    """Two epochs on 24 examples; of several ranks, the part of one."""
    model, examples = tiny_model(kind), random_examples(24)
    plan = feed.plan(len(examples), budget)
    batches = (feed.Layout(budget.micro_tokens, 0).batches([examples[index] for index in step]) for step in plan)
    steps = ([Work(CrossEntropy(), step[rank::world])] for step in batches)
    return list(fit(model, steps, make_optimizer(model, budget), schedule(budget, len(plan)), 1.0, precision))


BUDGET = Budget(epochs=2, lr=1e-2, batch_size=8, micro_tokens=100)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_loss_falls(kind: str) -> None:
    reports = run(replace(BUDGET, epochs=12), kind=kind)
    assert [report.step for report in reports] == list(range(1, 37))
    assert reports[-1].loss < 0.7 * reports[0].loss


def test_a_report_counts_what_was_read_and_learnt() -> None:
    reports = run(replace(BUDGET, epochs=1))
    examples = random_examples(24)
    assert sum(report.tokens for report in reports) == sum(map(len, examples))
    assert sum(report.supervised_tokens for report in reports) == sum(sum(example.weights) for example in examples)
    assert all(report.seconds > 0 and report.grad_norm > 0 for report in reports)


def test_several_processes_take_the_same_steps_as_one(tmp_path: Path) -> None:
    """A rank that has no micro-batch in a step still takes part in it."""

    def part(rank: int) -> None:
        dist.init_process_group("gloo", f"file://{tmp_path}/meet", rank=rank, world_size=3)
        losses = [report.loss for report in run(replace(BUDGET, micro_tokens=150), rank=rank, world=3)]
        torch.save(losses, tmp_path / f"{rank}.pt")
        dist.destroy_process_group()

    assert in_children(part, 3) == [0, 0, 0]
    expected = [report.loss for report in run(replace(BUDGET, micro_tokens=150))]
    for rank in range(3):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(expected, rel=1e-4)


def in_children(work: Callable[[int], None], count: int) -> list[int]:
    """Exit codes of forked processes."""
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(rank)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_a_gradient_that_is_not_finite_stops_the_run_and_names_the_step() -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, BUDGET)
    work = [Work(CrossEntropy(), feed.Layout(1000, 0).batches(random_examples(2)))]
    reports = fit(model, [work, work, work], optimizer, lambda done: 1e-3)
    next(reports)
    with torch.no_grad():
        model.get_input_embeddings().weight[:] = float("nan")
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(UserError, match="step 2: the gradient is not finite"):
        next(reports)
    after = model.parameters()
    assert all(torch.equal(old.nan_to_num(), new.nan_to_num()) for old, new in zip(before, after, strict=True))


def test_dropout_acts_in_training_and_not_in_evaluation() -> None:
    model, examples = tiny_model(attention_dropout=0.5), random_examples(6)
    batches = feed.Layout(1000, 0).batches(examples)
    quiet = float(accumulate(model, Work(CrossEntropy(), batches), "fp32")[3])
    model.zero_grad(set_to_none=True)
    (report,) = fit(model, [[Work(CrossEntropy(), batches)]], make_optimizer(model, BUDGET), lambda done: 0.0)
    assert report.loss != pytest.approx(quiet, rel=1e-4)
    assert held_out_loss(model, CrossEntropy(), examples, feed.Layout(1000, 0), "fp32") == pytest.approx(
        quiet, rel=1e-5
    )


def test_gradients_are_clipped_to_the_norm() -> None:
    model = tiny_model()
    norms = []

    class Spy(torch.optim.SGD):
        def step(self, closure: None = None) -> None:
            gradients = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
            norms.append(float(torch.stack(gradients).norm()))

    work = [Work(CrossEntropy(), feed.Layout(1000, 0).batches(random_examples(4)))]
    (report,) = fit(model, [work], Spy(model.parameters(), lr=0.1), lambda done: 1e-3, max_grad_norm=0.01)
    assert report.grad_norm > 0.02
    assert norms[0] == pytest.approx(0.01, rel=1e-3)


def test_work_that_matters_twice_weighs_twice() -> None:
    batches = feed.Layout(1000, 0).batches(random_examples(4))
    losses = [accumulate(MODEL, Work(CrossEntropy(), batches, weight), "fp32")[3] for weight in (1.0, 2.0)]
    assert float(losses[1]) == pytest.approx(2 * float(losses[0]))


def test_works_of_several_objectives_add_up_and_each_reports_what_it_measures() -> None:
    class Counting(CrossEntropy):
        metrics = ("rows",)

        def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums:
            return Sums(super().__call__(model, batch).loss, {"rows": torch.tensor(float(len(batch.tokens)))})

    model = tiny_model()
    one, two = feed.Layout(50, 0).batches(random_examples(4)), feed.Layout(50, 0).batches(random_examples(3, seed=1))
    apart = [accumulate(model, Work(CrossEntropy(), batches), "fp32") for batches in (one, two)]
    model.zero_grad(set_to_none=True)
    step = [Work(CrossEntropy(), one), Work(Counting(), two, weight=0.5)]
    (report,) = fit(model, [step], make_optimizer(model, BUDGET), lambda done: 1e-3)
    terms = float(apart[1][2])  # every weight is 1
    assert report.metrics == {"rows": pytest.approx(3 / terms)}
    assert report.loss == pytest.approx(float(apart[0][3] + 0.5 * apart[1][3]))
    assert report.supervised_tokens == float(apart[0][2] + apart[1][2])


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_the_rate_warms_up_and_then_follows_its_curve(name: str) -> None:
    lr_at = schedule(Budget(lr=2.0, schedule=name, warmup=0.1), 100)
    assert [lr_at(done) for done in range(10)] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert lr_at(10) == 2.0
    half = {"constant": 2.0, "linear": 1.0, "cosine": 1.0}[name]
    assert lr_at(55) == pytest.approx(half)
    assert lr_at(99) == pytest.approx(2.0 if name == "constant" else 0.0, abs=0.03)
    assert all(lr_at(done) >= lr_at(done + 1) > 0 for done in range(10, 99))


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    assert [schedule(Budget(lr=1.0, warmup=0.0), steps)(0) for steps in (1, 10)] == [1.0, 1.0]


def test_the_rate_ends_at_its_floor_and_a_warm_up_may_be_in_steps() -> None:
    lr_at = schedule(Budget(lr=1.0, schedule="linear", lr_floor=0.1, warmup=5), 105)
    assert [lr_at(done) for done in (0, 4, 5)] == pytest.approx([0.2, 1.0, 1.0])
    assert lr_at(105) == pytest.approx(0.1)


def test_the_second_matrix_of_an_adapter_may_learn_faster() -> None:
    model = Lora(recipe.Lora(rank=2))(tiny_model())
    optimizer = make_optimizer(model, Budget(), lr_ratio=16.0)
    work = [Work(CrossEntropy(), feed.Layout(1000, 0).batches(random_examples(2)))]
    list(fit(model, [work], optimizer, lambda done: 1e-3))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)].split(".")[-3]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates == pytest.approx({"lora_A": 1e-3, "lora_B": 16e-3})


def test_wsd_stays_and_falls_over_the_last_fifth() -> None:
    lr_at = schedule(Budget(lr=1.0, schedule="wsd", warmup=0.0), 100)
    assert [lr_at(done) for done in range(81)] == pytest.approx([1.0] * 81)
    assert lr_at(90) == pytest.approx(0.5)
    assert lr_at(100) == pytest.approx(0.0)


def test_adafactor_trains_and_keeps_less_than_adamw() -> None:
    kept = {}
    for name in ("adamw", "adafactor"):
        model = tiny_model()
        optimizer = make_optimizer(model, Budget(lr=1e-2, optimizer=name))
        work = [Work(CrossEntropy(), feed.Layout(1000, 0).batches(random_examples(4)))]
        reports = list(fit(model, [work] * 4, optimizer, lambda done: 1e-2))
        assert reports[-1].loss < reports[0].loss
        states = [value for state in optimizer.state.values() for value in state.values()]
        kept[name] = sum(value.numel() for value in states if isinstance(value, Tensor))
    assert kept["adafactor"] < kept["adamw"] / 5


@pytest.mark.parametrize("micro_tokens", [1, 100, 10**6])
def test_by_example_every_example_counts_alike_however_it_is_cut(micro_tokens: int) -> None:
    examples = random_examples(5, seed=2)
    layout = feed.Layout(micro_tokens, 0, loss_per="example")
    found = accumulate(MODEL, Work(CrossEntropy(), layout.batches(examples)), "fp32")
    single = [
        accumulate(MODEL, Work(CrossEntropy(), feed.Layout(1, 0).batches([example])), "fp32") for example in examples
    ]
    assert int(found[2]) == sum(bool(weight) for example in examples for weight in example.weights)
    assert float(found[3]) == pytest.approx(sum(float(part[3]) for part in single) / 5, rel=1e-5)


def test_by_micro_batch_every_forward_pass_counts_alike() -> None:
    examples = random_examples(5, seed=2)
    made = feed.Layout(50, 0).batches(examples)
    losses = [float(accumulate(MODEL, Work(CrossEntropy(), [batch]), "fp32")[3]) for batch in made]
    found = accumulate(
        MODEL, Work(CrossEntropy(), feed.Layout(50, 0, loss_per="micro_batch").batches(examples)), "fp32"
    )
    assert len(made) > 1
    assert float(found[3]) == pytest.approx(sum(losses) / len(made), rel=1e-5)


def test_the_first_rate_of_a_run_is_the_first_of_its_schedule() -> None:
    reports = run(replace(BUDGET, epochs=4, warmup=0.5))
    assert [report.lr for report in reports[:6]] == pytest.approx([1e-2 * step / 6 for step in range(1, 7)])


def test_only_matrices_decay() -> None:
    model = tiny_model("gpt2")
    decaying, others = make_optimizer(model, Budget(weight_decay=0.1)).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {parameter.ndim for parameter in others["params"]} == {1}
    assert len(decaying["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_bf16_computes_in_bf16_over_master_weights_in_fp32() -> None:
    model = tiny_model()
    seen = []
    model.model.layers[0].mlp.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    accumulate(model, Work(CrossEntropy(), feed.Layout(1000, 0).batches(random_examples(2))), "bf16")
    assert seen == [torch.bfloat16]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    fp32, bf16 = run(BUDGET), run(BUDGET, "bf16")
    assert [report.loss for report in bf16] == pytest.approx([report.loss for report in fp32], rel=0.05)
    assert [report.loss for report in bf16] != [report.loss for report in fp32]


def test_auto_is_a_precision_and_a_choice_is_kept() -> None:
    cpu = torch.device("cpu")
    assert choose("auto", cpu) in ("fp32", "bf16")
    assert [choose(wanted, cpu) for wanted in ("fp32", "bf16")] == ["fp32", "bf16"]
