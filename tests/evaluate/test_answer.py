"""Batched greedy answers equal those of one prompt at a time."""

import pytest
import torch

from tests.toys import ENCODER_DECODERS, byte_tokenizer, tiny_model
from tunesmith.evaluate.answer import answer, left_padded

PROMPTS = [[65], [66, 67, 68], [70] * 9, [71, 72], [5, 6, 7, 8, 9, 10, 11]]


def alone(model, prompt: list[int], count: int, stops: set[int]) -> list[int]:
    """The plain way: no padding, no cache."""
    ids = list(prompt)
    while len(ids) < len(prompt) + count:
        token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
        if token in stops:
            break
        ids.append(token)
    return ids[len(prompt) :]


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_batches_and_padding_change_no_answer(kind: str, batch_size: int):
    model = tiny_model(kind)
    wanted = [alone(model, prompt, 8, set()) for prompt in PROMPTS]
    assert answer(model, byte_tokenizer(), PROMPTS, 8, set(), batch_size) == wanted


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
@pytest.mark.parametrize("batch_size", [2, 64])
def test_an_encoder_decoder_answers_in_batches_as_alone(kind: str, batch_size: int):
    model, start = tiny_model(kind), 2 if kind == "bart" else 0
    wanted = []
    for prompt in PROMPTS:
        said = [start]
        while len(said) < 9:
            logits = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([said])).logits
            said.append(int(logits[0, -1].argmax()))
        wanted.append(said[1:])
    assert answer(model, byte_tokenizer(), PROMPTS, 8, set(), batch_size) == wanted
    stop = wanted[1][3]
    found = answer(model, byte_tokenizer(), PROMPTS, 8, {stop}, batch_size)
    assert found == [ids[: ids.index(stop)] if stop in ids else ids for ids in wanted]


def test_each_answer_ends_before_its_own_stop_token():
    model = tiny_model()
    free = [alone(model, prompt, 8, set()) for prompt in PROMPTS]
    stops = {free[0][3], free[2][1]}
    found = answer(model, byte_tokenizer(), PROMPTS, 8, stops)
    assert found == [alone(model, prompt, 8, stops) for prompt in PROMPTS]
    assert len(found[2]) <= 1
    assert not [token for row in found for token in row if token in stops]


def test_progress_counts_up_to_all_prompts():
    seen: list[tuple[int, int]] = []
    answer(tiny_model(), byte_tokenizer(), PROMPTS, 2, set(), 2, lambda done, total: seen.append((done, total)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_no_prompts_no_answers():
    assert answer(tiny_model(), byte_tokenizer(), [], 4, set()) == []


def test_rows_are_padded_on_the_left():
    ids, mask = left_padded([[1, 2], [3]], 9, torch.device("cpu"))
    assert ids.tolist() == [[1, 2], [9, 3]]
    assert mask.tolist() == [[1, 1], [0, 1]]
