"""Rounding to few bits: as exact as llama.cpp's own, in its layout, and better where it matters."""

from pathlib import Path

import numpy as np
import pytest

from tests.export.gguf.models import save_model
from tunesmith.export.gguf.kquants import PACKERS, quantize
from tunesmith.export.gguf.mix import QUANTS, kind
from tunesmith.export.gguf.write import encoded, open_model, write_model, write_requantized
from tunesmith.models.gguf_file import read_gguf
from tunesmith.models.llamacpp import installed

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
needs_llamacpp = pytest.mark.skipif(not installed(), reason="llama-cpp-python is not installed")


def decoded(data: np.ndarray, name: str) -> np.ndarray:
    return gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name])


def weights(rows: int = 64, columns: int = 512) -> np.ndarray:
    """As in a trained matrix: mostly small, columns of unequal size, a few far out, a row of nothing."""
    chance = np.random.default_rng(0)
    made = chance.standard_normal((rows, columns)) * np.exp(chance.standard_normal(columns) / 2)
    made[chance.random(made.shape) < 0.002] *= 8
    made[3] = 0
    return made.astype(np.float32)


def loss(x: np.ndarray, name: str, importance: np.ndarray | None = None, by: np.ndarray | float = 1.0) -> float:
    return float((by * (decoded(quantize(x, name, importance), name) - x) ** 2).mean())


@pytest.mark.parametrize(("name", "most"), [("Q4_K", 0.1), ("Q5_K", 0.05), ("Q6_K", 0.025)])
def test_what_is_read_back_is_near(name: str, most: float) -> None:
    x = weights()
    assert loss(x, name) ** 0.5 / x.std() < most
    assert not decoded(quantize(x, name), name)[3].any()


@pytest.mark.parametrize("name", PACKERS)
def test_more_blocks_than_are_worked_on_together_keep_their_order(name: str) -> None:
    x = np.repeat(np.arange(1, 1201, dtype=np.float32)[:, None], 256, 1)
    assert np.allclose(decoded(quantize(x, name), name), x, rtol=0.02)


@pytest.mark.parametrize("name", PACKERS)
def test_importance_lowers_the_error_where_it_counts(name: str) -> None:
    x = weights()
    importance = np.exp(np.random.default_rng(1).standard_normal(512) * 2).astype(np.float32)
    assert loss(x, name, importance, importance) < 0.97 * loss(x, name, None, importance)


def wide(folder: Path) -> Path:
    """Rows of 256 numbers, which K-quants take, and of 96, which they do not."""
    from transformers import LlamaConfig

    shape = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 9}
    return save_model(folder, LlamaConfig(vocab_size=264, hidden_size=256, intermediate_size=96, head_dim=64, **shape))


@needs_llamacpp
@pytest.mark.parametrize("quant", ["Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K"])
def test_types_and_errors_are_those_of_llamacpp(quant: str, tmp_path: Path) -> None:
    from tunesmith.export.gguf.vocabulary import choose
    from tunesmith.models.load import load_tokenizer

    source = wide(tmp_path / "model")
    model, fields = open_model(source), choose(load_tokenizer(str(source)), 264).written()
    [ours] = write_model(tmp_path / "ours.gguf", model, quant, fields)
    [theirs] = write_requantized(tmp_path / "theirs.gguf", model, quant, fields)
    left, right = (gguf.GGUFReader(path).tensors for path in (ours, theirs))
    assert {one.name: one.tensor_type for one in left} == {one.name: one.tensor_type for one in right}
    errors: dict[str, list[tuple[float, float]]] = {}
    plan = {one.name: one for one in model.plan(quant)}
    for mine, other in zip(left, right, strict=True):
        x = model.weight(plan[mine.name])
        both = [float(((gguf.quants.dequantize(one.data, one.tensor_type) - x) ** 2).mean()) for one in (mine, other)]
        errors.setdefault(mine.tensor_type.name, []).append((both[0], both[1]))
    for name, found in errors.items():
        mine_sum, other_sum = (sum(side) for side in zip(*found, strict=True))
        assert mine_sum**0.5 <= 1.02 * other_sum**0.5 + 1e-9, name


def test_the_mix_keeps_the_ends_the_values_and_the_output_finer() -> None:
    mix = QUANTS["Q4_K_M"]
    values = [kind(f"blk.{number}.attn_v.weight", (256, 256), mix, 16, False) for number in range(16)]
    assert values == ["Q6_K"] * 2 + ["Q4_K", "Q4_K", "Q6_K"] * 4 + ["Q6_K"] * 2
    assert kind("blk.5.attn_q.weight", (256, 256), mix, 16, False) == "Q4_K"
    assert kind("output.weight", (999, 256), mix, 16, False) == "Q6_K"
    assert kind("token_embd.weight", (999, 256), mix, 16, False) == "Q4_K"
    assert kind("token_embd.weight", (999, 256), mix, 16, True) == "Q6_K"
    assert kind("blk.5.attn_q.weight", (256, 96), mix, 16, False) == "Q5_0"
    assert kind("blk.5.attn_q.weight", (256, 40), mix, 16, False) == "F16"
    assert kind("blk.5.attn_norm.weight", (256,), mix, 16, False) == "F32"


def test_large_files_become_shards_that_hold_everything(tmp_path: Path) -> None:
    model = open_model(wide(tmp_path / "model"))
    [whole] = write_model(tmp_path / "whole.gguf", model, "F16", {})
    shards = write_model(tmp_path / "part.gguf", model, "F16", {}, shard_bytes=1_000_000)
    assert len(shards) > 2
    assert shards[0].name == f"part-00001-of-{len(shards):05d}.gguf"
    assert all(path.stat().st_size < 1_100_000 for path in shards)
    names = [place.name for path in shards for place in read_gguf(path).tensors]
    assert sorted(names) == sorted(place.name for place in read_gguf(whole).tensors)


def test_half_precision_is_rounded_to_nearest() -> None:
    x = weights(8, 32)
    assert np.array_equal(encoded(x, "F16"), x.astype(np.float16))
