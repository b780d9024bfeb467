"""NEFTune: noise as long for each example, and none where nothing trains."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.toys import random_examples, tiny_model
from tunesmith import recipe
from tunesmith.batch import Batch
from tunesmith.models.surgery.lora import Lora
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.objectives.neftune import Neftune, lengths
from tunesmith.tune.feed import collate
from tunesmith.tune.pack import stream

ALPHA = 5.0
WIDTH = 32


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 8), seed=st.integers(0, 99))
def test_every_token_knows_the_length_of_its_example_padded_or_packed(count: int, seed: int) -> None:
    examples = random_examples(count, seed)
    packed = lengths(stream(examples, False))
    assert packed[0].tolist() == [len(example) for example in examples for _ in example.ids]
    padded = lengths(collate(examples, 0))
    for row, example in zip(padded, examples, strict=True):
        assert set(row[: len(example)].tolist()) == {len(example)}


def embedded(batch: Batch, training: bool, seed: int = 0) -> Tensor:
    """What the first layer reads."""
    model, seen = tiny_model(), []
    model.model.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    torch.manual_seed(seed)
    Neftune(CrossEntropy(), ALPHA)(model.train(training), batch)
    return seen[0].detach()


@pytest.mark.parametrize("packed", [False, True])
def test_the_noise_is_uniform_with_a_reach_that_each_example_s_own_length_sets(packed: bool) -> None:
    examples = random_examples(6, seed=4)
    batch = stream(examples, False) if packed else collate(examples, 0)
    batch.spans = None  # attention is of no account here
    noise = (embedded(batch, True) - embedded(batch, False)) * (lengths(batch) * WIDTH).sqrt()[..., None] / ALPHA
    noise = noise[batch.attention.bool()]
    assert 0.99 < float(noise.abs().max()) <= 1.0001
    assert float(noise.std()) == pytest.approx(1 / math.sqrt(3), rel=0.03)
    assert float(noise.mean()) == pytest.approx(0, abs=0.03)


@torch.no_grad()
def test_other_noise_each_time_and_none_in_evaluation_or_afterwards() -> None:
    batch, model = collate(random_examples(3), 0), tiny_model()
    assert not torch.equal(embedded(batch, True, 1), embedded(batch, True, 2))
    plain = float(CrossEntropy()(model, batch).loss)
    assert float(Neftune(CrossEntropy(), ALPHA)(model.eval(), batch).loss) == plain
    assert float(Neftune(CrossEntropy(), ALPHA)(model.train(), batch).loss) != plain
    assert float(CrossEntropy()(model, batch).loss) == plain


@torch.no_grad()
def test_under_an_adapter_with_trained_token_rows_too() -> None:
    model = Lora(recipe.Lora(rank=2), (7,))(tiny_model()).train()
    batch = collate(random_examples(3), 0)
    plain = float(CrossEntropy()(model, batch).loss)
    assert float(Neftune(CrossEntropy(), ALPHA)(model, batch).loss) != plain
    assert float(Neftune(CrossEntropy(), 0.0)(model, batch).loss) == plain


def test_it_counts_as_the_objective_within_does() -> None:
    batch, noisy = collate(random_examples(3), 0), Neftune(CrossEntropy(), ALPHA)
    assert noisy.terms(batch) == CrossEntropy().terms(batch)
    assert noisy.with_fused(True) == Neftune(CrossEntropy(fused=True), ALPHA)
