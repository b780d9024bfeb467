"""Cross-entropy of answers counts and sums; it agrees with transformers, padded and alone, fused and plain."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.toys import ENCODER_DECODERS, answer_examples, tiny_model
from tunesmith import recipe
from tunesmith.batch import Batch, Example
from tunesmith.models.inputs import inputs
from tunesmith.models.load import merged
from tunesmith.models.surgery.lora import Lora
from tunesmith.objectives import seq2seq
from tunesmith.objectives.seq2seq import AnswerCrossEntropy
from tunesmith.tune import proofs
from tunesmith.tune.feed import collate
from tunesmith.tune.shortcuts import PLAIN, Way, choose

ROWS = answer_examples(5, seed=3)
PLAIN_LOSS, FUSED_LOSS = AnswerCrossEntropy(), AnswerCrossEntropy(fused=True)


def gradients(model: PreTrainedModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def theirs(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The sum over the learnt tokens that transformers computes from `labels`."""
    labels = batch.tokens.masked_fill(batch.weights == 0, -100)[:, 1:].contiguous()
    start = batch.tokens[:, :-1]
    given = {"input_ids": batch.encoder_tokens, "attention_mask": batch.encoder_attention, "decoder_input_ids": start}
    return model(**given, labels=labels).loss * (labels >= 0).sum()


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
@pytest.mark.parametrize("objective", [PLAIN_LOSS, FUSED_LOSS])
def test_loss_and_gradient_are_those_of_transformers(kind: str, objective: AnswerCrossEntropy) -> None:
    model, batch = tiny_model(kind), collate(ROWS, pad=7)
    ours, reference = objective(model, batch).loss, theirs(model, batch)
    torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-5)
    found, wanted = gradients(model, ours), gradients(model, reference)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-4, msg=name)
    assert objective.terms(batch) == sum(sum(row.weights) for row in ROWS)


@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_the_decoder_starts_and_shifts_as_transformers_does_it_by_itself(kind: str) -> None:
    model = tiny_model(kind, decoder_start_token_id=0)
    rows = [Example(row.ids, (0.0,) + (1.0,) * (len(row.ids) - 1), encoder_ids=row.encoder_ids) for row in ROWS[:1]]
    batch = collate(rows, pad=0)
    reference = model(input_ids=batch.encoder_tokens, labels=batch.tokens[:, 1:].contiguous()).loss
    ours = PLAIN_LOSS(model, batch).loss / PLAIN_LOSS.terms(batch)
    torch.testing.assert_close(ours.float(), reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_the_loss_of_a_padded_batch_is_the_sum_of_the_losses_of_its_rows(kind: str) -> None:
    model = tiny_model(kind)
    alone = torch.stack([PLAIN_LOSS(model, collate([row], pad=0)).loss for row in ROWS]).sum()
    torch.testing.assert_close(PLAIN_LOSS(model, collate(ROWS, pad=7)).loss, alone, rtol=1e-5, atol=1e-4)


def test_a_token_counts_by_its_weight() -> None:
    model, losses = tiny_model("t5"), []
    for weights in [(1, 1, 0, 0), (0, 0, 1, 1), (0.5, 0.5, 3, 3)]:
        example = Example((0, 11, 12, 13, 14), (0.0, *map(float, weights)), encoder_ids=(5, 6, 7))
        losses.append(PLAIN_LOSS(model, collate([example], pad=0)).loss)
    torch.testing.assert_close(losses[2], 0.5 * losses[0] + 3 * losses[1])


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_an_encoder_that_sees_its_padding_is_found_by_the_proof(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def verdict() -> bool:
        made = proofs.before_training(tiny_model(kind), PLAIN_LOSS, ROWS, pad=0)
        return {proof.name: proof.passed for proof in made}["padding_changes_nothing"]

    def unmasked(batch: Batch) -> dict[str, Any]:
        return {name: part for name, part in inputs(batch).items() if name != "attention_mask"}

    assert verdict()
    monkeypatch.setattr(seq2seq, "inputs", unmasked)
    assert not verdict()


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
@pytest.mark.parametrize("adapted", [False, True])
def test_the_fused_loss_is_kept_and_packing_is_said_to_be_left(kind: str, adapted: bool) -> None:
    model = Lora(recipe.Lora(rank=2))(tiny_model(kind)) if adapted else tiny_model(kind)
    way, proof = choose(model, PLAIN_LOSS, ROWS, 0, True)
    assert way == Way(fused=True)
    assert proof.measured < 1e-5
    assert "not packing" in proof.detail
    assert choose(model, PLAIN_LOSS, ROWS, 0, False)[1].detail.count("packing") == 0


def test_a_model_that_bends_its_logits_is_not_fused() -> None:
    model = tiny_model("bart")
    with torch.no_grad():
        model.final_logits_bias += torch.randn_like(model.final_logits_bias)
    way, proof = choose(model, PLAIN_LOSS, ROWS, 0, True)
    assert way == PLAIN
    assert proof.measured == 0
    assert "fused loss" in proof.detail


def test_the_fused_loss_leaves_no_hook_behind_and_computes_no_logit() -> None:
    model, seen = tiny_model("t5"), []
    model.lm_head.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    FUSED_LOSS(model, collate(ROWS, pad=0))
    PLAIN_LOSS(model, collate(ROWS, pad=0))
    assert seen == [0, max(len(row.ids) for row in ROWS) - 1]


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_an_adapter_starts_as_nothing_and_reaches_the_rows_of_new_tokens(kind: str) -> None:
    model, proof = proofs.adapt(tiny_model(kind), Lora(recipe.Lora(rank=2), new=(9,)), ROWS)
    assert proof.passed
    row = Example((0, 9, 9), (0.0, 1.0, 1.0), encoder_ids=(9, 9))
    found = gradients(model, PLAIN_LOSS(model, collate([row], pad=0)).loss)
    reached = {name: float(part.abs().max()) for name, part in found.items() if "trainable_tokens" in name}
    assert len(reached) == (2 if kind == "mt5" else 1)  # its output layer is not tied
    assert all(reached.values())


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_a_merged_adapter_keeps_its_embeddings_tied(kind: str) -> None:
    """Otherwise the rows of new tokens of the next adapter would train where nothing reads them."""
    once = merged(Lora(recipe.Lora(rank=2), new=(9,))(tiny_model(kind)))
    twice = Lora(recipe.Lora(rank=2), new=(9,))(once)
    row = Example((0, 5), (0.0, 1.0), encoder_ids=(9, 9))
    found = gradients(twice, PLAIN_LOSS(twice, collate([row], pad=0)).loss)
    (shared,) = [part for name, part in found.items() if "shared.token_adapter" in name]
    assert float(shared.abs().max()) > 0
