"""The optimizers: what they keep in memory, and that a checkpoint brings them back to the bit."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer

from tests.toys import tiny_model
from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.models.surgery.ia3 import Ia3
from tunesmith.models.surgery.lora import Lora
from tunesmith.recipe import Budget
from tunesmith.tune import checkpoint, job
from tunesmith.tune.job import refuse_unavailable
from tunesmith.tune.optimizer import OPTIMIZERS, make_optimizer

EVERY = [(name, precision) for name in OPTIMIZERS for precision in ("fp32", "bf16_sr")]


def regression(precision: str = "fp32") -> nn.Module:
    """A small network; as wide as 8-bit blocks ask for."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))
    return made.bfloat16() if precision == "bf16_sr" else made


def learn(model: nn.Module, optimizer: Optimizer, first: int, last: int) -> Iterator[float]:
    """Losses of steps first..last-1 of learning to turn vectors round."""
    for step in range(first, last):
        given = torch.randn(32, 64, generator=torch.Generator().manual_seed(step))
        loss = (model(given.to(next(model.parameters()).dtype)).float() - given.flip(1)).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield float(loss.detach())


def state_bytes(optimizer: Optimizer) -> int:
    tensors = (value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def trained(name: str, precision: str = "fp32", steps: int = 120) -> tuple[list[float], Optimizer]:
    model = regression(precision)
    optimizer = make_optimizer(model, Budget(optimizer=name, precision=precision, lr=3e-3))
    return list(learn(model, optimizer, 0, steps)), optimizer


def test_8_bit_adamw_follows_adamw_with_a_quarter_of_its_state() -> None:
    (exact, whole), (small, quarter) = trained("adamw"), trained("adamw8bit")
    assert small == pytest.approx(exact, rel=0.05)
    assert small != exact
    assert exact[-1] < 0.3 * exact[0]
    assert 0.25 < state_bytes(quarter) / state_bytes(whole) < 0.35  # tables of 2 KB a tensor weigh on a toy


def test_weights_in_bf16_rounded_by_chance_learn_as_those_in_fp32_do() -> None:
    for name in ("adamw", "adamw8bit"):
        assert trained(name, "bf16_sr")[0][-1] == pytest.approx(trained(name)[0][-1], rel=0.15)


def moving(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    return checkpoint.weights(model) | checkpoint.optimizer_state(model, optimizer)


@pytest.mark.parametrize(("name", "precision"), EVERY)
def test_a_checkpoint_brings_an_optimizer_back_to_the_bit(name: str, precision: str) -> None:
    budget = Budget(optimizer=name, precision=precision, lr=3e-3, weight_decay=0.1)
    model = regression(precision)
    optimizer = make_optimizer(model, budget)
    list(learn(model, optimizer, 0, 4))
    kept = {name: tensor.clone() for name, tensor in moving(model, optimizer).items()}
    expected = list(learn(model, optimizer, 4, 8))

    again = regression(precision)
    other = make_optimizer(again, budget)
    checkpoint.begin_state(other)
    tensors = moving(again, other)
    assert tensors.keys() == kept.keys()
    for name, tensor in tensors.items():
        tensor.copy_(kept[name])
    checkpoint.set_numbers(again, other, tensors)
    torch.manual_seed(99)  # what the global generator says is of no account
    assert list(learn(again, other, 4, 8)) == expected
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


def test_state_is_not_kept_in_the_bf16_of_the_weights() -> None:
    _, optimizer = trained("adamw", "bf16_sr", steps=1)
    values = (value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor))
    assert {value.dtype for value in values} == {torch.float32}


@pytest.mark.parametrize("precision", ["fp32", "bf16_sr"])
def test_the_rate_that_the_loop_sets_is_the_rate_of_the_step(precision: str) -> None:
    model = regression(precision)
    optimizer = make_optimizer(model, Budget(precision=precision, lr=1.0))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    list(learn(model, optimizer, 0, 1))
    assert all(torch.equal(one, two) for one, two in zip(before, model.parameters(), strict=True))


def test_weight_decay_and_groups_reach_the_inner_optimizer() -> None:
    optimizer = make_optimizer(tiny_model().bfloat16(), Budget(precision="bf16_sr", weight_decay=0.1))
    assert [group["weight_decay"] for group in optimizer.inner.param_groups] == [0.1, 0.0]
    assert [len(group["params"]) for group in optimizer.inner.param_groups] == [
        len(group["params"]) for group in optimizer.param_groups
    ]


def test_factors_are_not_drawn_to_nothing() -> None:
    """(IA)³ without a gradient, under decay alone: its factors stay one. A low-rank matrix shrinks."""
    for surgery, stays in ((Ia3(), True), (Lora(recipe.Lora(rank=2, targets="q_proj")), False)):
        model = surgery(tiny_model())
        learnt = [p for p in model.parameters() if p.requires_grad and p.any()]
        before = [p.detach().clone() for p in learnt]
        optimizer = make_optimizer(model, Budget(lr=0.1, weight_decay=0.5))
        for parameter in learnt:
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert [torch.equal(old, new) for old, new in zip(before, learnt, strict=True)] == [stays] * len(learnt)


def test_a_package_that_lacks_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unavailable(Budget(optimizer="adamw8bit"))
    monkeypatch.setattr(job, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="bitsandbytes") as refusal:
        refuse_unavailable(Budget(optimizer="adamw8bit"))
    assert "tunesmith[low-memory]" in refusal.value.cure
    refuse_unavailable(Budget())


def test_sharded_weights_are_refused_where_they_cannot_be_stepped() -> None:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        model = regression()
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
        for budget in (Budget(optimizer="adamw8bit"), Budget(precision="bf16_sr")):
            with pytest.raises(UserError, match="sharded"):
                make_optimizer(model, budget)
        list(learn(model, make_optimizer(model, Budget()), 0, 1))
    finally:
        dist.destroy_process_group()
