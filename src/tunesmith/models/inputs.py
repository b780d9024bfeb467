"""What a forward pass is given: a causal model one row of tokens, an encoder–decoder one for each side."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunesmith.batch import Batch


def inputs(batch: Batch) -> dict[str, Any]:
    """The arguments of the forward pass that predicts every token of the batch but the first of each row.

    A packed row needs its spans and the place of each token in its example. The decoder of an encoder–decoder does
    not read the last column: nothing comes after it. Attention to what stands on the right of a token is not masked
    where it is causal; an encoder looks both ways.
    """
    if batch.encoder_tokens is not None:
        return {
            "input_ids": batch.encoder_tokens,
            "attention_mask": batch.encoder_attention,
            "decoder_input_ids": batch.tokens[:, :-1],
            "use_cache": False,
        }
    given: dict[str, Any] = {"input_ids": batch.tokens, "use_cache": False}
    return given if batch.spans is None else given | {"position_ids": batch.positions, "spans": batch.spans}


def encoded(model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
    """What the decoder of an encoder–decoder is given at every step of its answers to B prompts."""
    tokens, attention = (part.to(model.device) for part in right_padded(prompts, pad))
    states = model.get_encoder()(input_ids=tokens, attention_mask=attention, return_dict=True)
    return {"encoder_outputs": states, "attention_mask": attention}


def right_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """[[1,2],[3]] -> tokens [[1,2],[3,pad]] and attention [[1,1],[1,0]]."""
    tokens = torch.full((len(rows), max(map(len, rows))), pad, dtype=torch.int64)
    attention = torch.zeros_like(tokens)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.tensor(row, dtype=torch.int64)
        attention[number, : len(row)] = 1
    return tokens, attention
