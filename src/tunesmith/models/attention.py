"""Attention over examples that stand end to end in one row, each as if it were alone.

transformers lets a model take an attention function of ours. Where the device has a kernel for rows of any length, it
reads the row as it stands; else rows of like length are gathered into a small padded batch and put back afterwards,
so that no work is spent across a boundary, whatever the lengths. A head that several examples share is in the row
once; each of them attends to it.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from tunesmith.batch import Spans
from tunesmith.models import varlen

NAME = "tunesmith_spans"
LIKE = 0.8  # spans are gathered together down to this share of the longest one's length


@dataclass(frozen=True, slots=True)
class Span:
    """Places start..end of a row hold one example's own tokens; those of its shared head stand at head..head_end."""

    start: int
    end: int
    head: int = 0
    head_end: int = 0

    def __len__(self) -> int:
        return self.end - self.start + self.head_end - self.head

    def places(self) -> Iterator[int]:
        yield from range(self.head, self.head_end)
        yield from range(self.start, self.end)


def gathering(spans: Sequence[Span]) -> Spans:
    """The plan for spans that together, one after the other, cover every place of a row once."""
    index: list[Tensor] = []
    own: list[Tensor] = []
    kept: list[int] = []
    for group in like_length(spans):
        width = len(group[0])
        index.append(torch.tensor([[*span.places(), *[0] * (width - len(span))] for span in group]))
        mine: list[int] = []
        for row, span in enumerate(group):
            first = row * width + span.head_end - span.head
            mine += range(first, first + span.end - span.start)
            kept += range(span.start, span.end)
        own.append(torch.tensor(mine))
    order = torch.tensor(kept).argsort()
    shared = any(span.head_end for span in spans)
    keys = torch.tensor([place for span in spans for place in span.places()]) if shared else None
    sizes = torch.tensor([[0, *(span.end - span.start for span in spans)], [0, *map(len, spans)]])
    longest = int(sizes[0].max()), int(sizes[1].max())
    return Spans(tuple(index), tuple(own), order, keys, sizes.cumsum(1).to(torch.int32), longest)


def like_length(spans: Sequence[Span]) -> list[list[Span]]:
    groups: list[list[Span]] = []
    for span in sorted(spans, key=len, reverse=True):
        if groups and len(span) >= LIKE * len(groups[-1][0]):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    spans: Spans | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """[B, H, T, D] -> [B, T, H, D], causal. Without `spans` every row is one example, padded on the right or not.

    Keys and values may stand before the row: every example sees them.
    """
    refuse_unknown(module, more)
    before = key.shape[2] - query.shape[2]  # places of a soft prompt
    if spans is None:
        return causal(query, key, value, scaling, dropout, sliding_window).transpose(1, 2).contiguous(), None
    q, k, v = (part[0].transpose(0, 1) for part in (query, key, value))  # [T, H, D]
    kernels = query.device.type in varlen.DEVICES and not dropout and not before
    kernel = varlen.kernel(q, k, v, sliding_window) if kernels else None
    if kernel:
        return kernel(*varlen.lowered(q, k, v), spans, scaling, sliding_window)[None], None
    return gathered(q, k, v, spans, scaling, dropout, sliding_window)[None], None


def gathered(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, scaling: float | None, dropout: float, window: int | None
) -> Tensor:
    """[T, H, D] each -> [T, H, D], by groups of like length. What keys have before the row's, each example sees."""
    kept, before = [], len(key) - len(query)
    for index, own in zip(spans.index, spans.own, strict=True):
        every = torch.arange(before, device=index.device).expand(len(index), before)
        read = torch.cat([every, index + before], 1)
        q, k, v = (
            part.index_select(0, places.flatten()).unflatten(0, places.shape).transpose(1, 2)
            for part, places in ((query, index), (key, read), (value, read))
        )
        found = causal(q, k, v, scaling, dropout, window)
        kept.append(found.transpose(1, 2).flatten(0, 1).index_select(0, own))
    return torch.cat(kept).index_select(0, spans.order)


def causal(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, dropout: float, window: int | None
) -> Tensor:
    """[S, H, L, D] each -> [S, H, L, D]; a place sees the `window` places up to itself, or all before it.

    Keys and values may have more places, which stand before those of the queries.
    """
    length, held, few = query.shape[2], key.shape[2], key.shape[1] != query.shape[1]
    mask, before = None, held - length
    if before or (window is not None and window < held):
        mask = torch.ones(length, held, dtype=torch.bool, device=query.device).tril(before)
        mask = mask if window is None else mask.triu(before + 1 - window)
    return scaled_dot_product_attention(
        query, key, value, mask, dropout, is_causal=mask is None, scale=scaling, enable_gqa=few
    )


def refuse_unknown(module: nn.Module, more: dict[str, Any]) -> None:
    """Capping, sinks, biases and looking ahead are not done here: such a model keeps its own attention."""
    for name in ("softcap", "s_aux", "position_bias", "cache_position_bias"):
        if more.get(name) is not None:
            raise NotImplementedError(name)
    if more.get("is_causal") is False or getattr(module, "is_causal", True) is False:
        raise NotImplementedError("attention that is not causal")


AttentionInterface.register(NAME, attend)


def take_over(model: PreTrainedModel) -> bool:
    """Give the model this attention; false, and nothing changed, where it does not let itself be given one."""
    before = model.config._attn_implementation
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.set_attn_implementation(NAME)
        except (ValueError, NotImplementedError, ImportError):
            model.set_attn_implementation(before)
            return False
    return bool(model.config._attn_implementation == NAME)


@contextmanager
def own_attention(model: PreTrainedModel) -> Iterator[None]:
    """The model with attention that transformers brings, if ours is in place: ours reads whole rows, not a cache."""
    if model.config._attn_implementation != NAME:
        yield
        return
    model.set_attn_implementation("sdpa" if model._supports_sdpa else "eager")
    try:
        yield
    finally:
        model.set_attn_implementation(NAME)
