"""Kernels for rows of any length. There is none on a CPU: a stand-in with their interface takes their place."""

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.toys import random_examples, tiny_model
from tunesmith.batch import Example
from tunesmith.models import varlen
from tunesmith.models.attention import take_over
from tunesmith.objectives.causal import target_nll
from tunesmith.tune.pack import stream


@pytest.fixture(autouse=True)
def on_this_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varlen, "DEVICES", {"cpu"})
    varlen.proven.cache_clear()


@pytest.fixture
def flash(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """flash-attention's function by plain means: masks end with the last key; window_size is (back, ahead)."""
    seen = SimpleNamespace(calls=0, fault=0)

    def flash_attn_varlen_func(
        q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int,
        softmax_scale: float | None, causal: bool, window_size: tuple[int, int],
    ) -> Tensor:  # fmt: skip
        assert causal
        assert (max_q, max_k) == (int(cu_q.diff().max()), int(cu_k.diff().max()))
        assert (cu_q.dtype, cu_k.dtype, int(cu_q[-1]), int(cu_k[-1])) == (torch.int32, torch.int32, len(q), len(k))
        seen.calls += 1
        found = []
        for a, b, c, d in zip(cu_q[:-1], cu_q[1:], cu_k[:-1], cu_k[1:], strict=True):
            rows = torch.arange(b - a)[:, None] + (d - c) - (b - a)
            columns = torch.arange(d - c)[None]
            mask = columns <= rows + seen.fault
            if window_size[0] >= 0:
                mask &= columns >= rows - window_size[0]
            parts = (part.transpose(0, 1) for part in (q[a:b], k[c:d], v[c:d]))
            query, key, value = parts
            out = torch.nn.functional.scaled_dot_product_attention(
                query[None], key[None], value[None], mask, scale=softmax_scale, enable_gqa=True
            )
            found.append(out[0].transpose(0, 1))
        return torch.cat(found)

    module = ModuleType("flash_attn")
    module.flash_attn_varlen_func = flash_attn_varlen_func  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "flash_attn", module)
    return seen


def rows_with_a_head() -> list[Example]:
    head = tuple(range(100, 130))
    return [Example(head + row.ids, (0.0,) * 30 + row.weights) for row in random_examples(6, 1)]


def losses(share: bool, **config: Any) -> Tensor:
    model = tiny_model(**config)
    assert take_over(model)
    with torch.autocast("cpu", torch.bfloat16):
        return target_nll(model, stream(rows_with_a_head(), share)).float()


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("config", [{}, {"num_key_value_heads": 1}])
def test_it_computes_what_groups_compute(
    flash: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, share: bool, config: dict[str, Any]
) -> None:
    found = losses(share, **config)
    assert flash.calls > 2
    monkeypatch.setattr(varlen, "DEVICES", set())
    calls = flash.calls
    torch.testing.assert_close(found, losses(share, **config), rtol=2e-2, atol=2e-2)
    assert flash.calls == calls


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("few", [4, 2])
def test_a_kernel_that_proves_right_is_taken(flash: SimpleNamespace, window: int | None, few: int) -> None:
    query, key = torch.zeros(9, 4, 8, dtype=torch.bfloat16), torch.zeros(9, few, 8, dtype=torch.bfloat16)
    assert varlen.kernel(query, key, key, window) is varlen.by_flash_attention


def test_a_kernel_that_looks_ahead_is_not_taken(flash: SimpleNamespace) -> None:
    flash.fault = 1
    part = torch.zeros(9, 4, 8, dtype=torch.bfloat16)
    assert varlen.kernel(part, part, part, None) is not varlen.by_flash_attention
    assert flash.calls


def test_full_precision_and_unlike_widths_keep_the_groups(flash: SimpleNamespace) -> None:
    part = torch.zeros(9, 4, 8)
    assert varlen.kernel(part, part, part, None) is None
    assert varlen.kernel(part.bfloat16(), part.bfloat16(), part[:, :, :4].bfloat16(), None) is None
    assert flash.calls == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("window", [None, 5])
def test_a_gpu_has_one(monkeypatch: pytest.MonkeyPatch, window: int | None) -> None:
    monkeypatch.setattr(varlen, "DEVICES", {"cuda"})
    part = torch.zeros(9, 4, 64, dtype=torch.bfloat16, device="cuda")
    assert varlen.kernel(part, part, part, window) is not None
