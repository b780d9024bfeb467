"""Answers of a causal language model to many prompts at once, greedily."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunesmith.models.adapted import bare, before, prompt_length

Progress = Callable[[int, int], None]  # answers done, answers in all


def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    stop_ids: Collection[int],
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[list[int]]:
    """The likeliest next tokens after each prompt, in the order of the prompts, without the stop token.

    Prompts of like length share a batch, so that little is padding; padding stands on the left, out of sight.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    pad = padding(tokenizer)
    done = 0
    for places in batches(prompts, batch_size):
        found = greedy(model, [prompts[place] for place in places], max_new_tokens, stop_ids, pad)
        for place, ids in zip(places, found, strict=True):
            answers[place] = ids
        done += len(places)
        if progress is not None:
            progress(done, len(prompts))
    return answers


def batches(prompts: Sequence[list[int]], batch_size: int) -> Iterator[list[int]]:
    """Places of prompts, `batch_size` at a time, by length."""
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """A token to fill rows with; which one does not matter, since it is masked."""
    known = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return known if isinstance(known, int) else 0


@torch.inference_mode()
def greedy(
    model: PreTrainedModel, prompts: Sequence[list[int]], max_new_tokens: int, stop_ids: Collection[int], pad: int
) -> list[list[int]]:
    """One batch: B prompts to B answers. A row that has stopped leaves the batch's result, not the batch."""
    ids, mask = left_padded(prompts, pad, model.device)
    stops = torch.tensor(sorted(stop_ids), device=model.device)
    open_rows = torch.ones(len(prompts), dtype=torch.bool, device=model.device)
    cache: Any = before(model, len(prompts))
    mask = functional.pad(mask, (prompt_length(model), 0), value=1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    columns: list[Tensor] = []
    for _ in range(max_new_tokens):
        output: Any = bare(model)(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        cache, token = output.past_key_values, output.logits[:, -1].argmax(-1)
        open_rows = open_rows & ~torch.isin(token, stops)
        columns.append(torch.where(open_rows, token, -1))
        if not open_rows.any():
            break
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
    rows = torch.stack(columns, dim=1).tolist() if columns else [[] for _ in prompts]
    return [[token for token in row if token >= 0] for row in rows]


def left_padded(prompts: Sequence[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """[[1,2],[3]] -> ids [[1,2],[pad,3]] and mask [[1,1],[0,1]]."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)
