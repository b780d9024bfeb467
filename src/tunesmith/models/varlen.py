"""Attention kernels that read examples of any length end to end: those of a GPU, each tried before it is used.

flash-attention where it is installed (Dao 2023), else the same kernel as torch brings it.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tunesmith.batch import Spans

Kernel = Callable[[Tensor, Tensor, Tensor, Spans, float | None, int | None], Tensor]

DEVICES = {"cuda"}
HALF = (torch.bfloat16, torch.float16)  # what these kernels reckon in
LIMIT = 2e-2  # relative; bf16 has eight bits


def by_flash_attention(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, scale: float | None, window: int | None
) -> Tensor:
    """[T, H, D] each -> [T, H, D]; a place sees the `window` places up to itself, or all of its example before it."""
    from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found]

    key, value = read(key, spans), read(value, spans)
    back = (-1, -1) if window is None else (window - 1, 0)
    found: Tensor = flash_attn_varlen_func(
        query, key, value, *spans.edges, *spans.longest, softmax_scale=scale, causal=True, window_size=back
    )
    return found


def by_torch(
    query: Tensor, key: Tensor, value: Tensor, spans: Spans, scale: float | None, window: int | None
) -> Tensor:
    """The same, from torch."""
    from torch.nn.attention.varlen import varlen_attn

    key, value = read(key, spans), read(value, spans)
    back = (-1 if window is None else window - 1, 0)
    few = query.shape[1] != key.shape[1]
    (first, first_key), (most, most_keys) = spans.edges, spans.longest
    found = varlen_attn(
        query, key, value, first, first_key, most, most_keys, scale=scale, window_size=back, enable_gqa=few
    )
    assert isinstance(found, Tensor)  # a pair only where it is asked for
    return found


KERNELS: tuple[Kernel, ...] = (by_flash_attention, by_torch)


def read(part: Tensor, spans: Spans) -> Tensor:
    """Keys or values [T, H, D] as the examples read them: [K, H, D]."""
    return part if spans.keys is None else part.index_select(0, spans.keys)


def lowered(*parts: Tensor) -> tuple[Tensor, ...]:
    """In the precision that autocast gives to attention: kernels that it does not know must be given it."""
    kind = parts[0].device.type
    if not torch.is_autocast_enabled(kind):
        return parts
    return tuple(part.to(torch.get_autocast_dtype(kind)) for part in parts)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def kernel(query: Tensor, key: Tensor, value: Tensor, window: int | None) -> Kernel | None:
    """The first kernel that does what attention should for tensors like these; None where none does."""
    dtype = lowered(query)[0].dtype
    if dtype not in HALF or query.shape[2] != value.shape[2]:
        return None
    return proven(query.device, dtype, query.shape[1], key.shape[1], query.shape[2], window is not None)


@cache
def proven(device: torch.device, dtype: torch.dtype, heads: int, few: int, width: int, windowed: bool) -> Kernel | None:
    """The first of KERNELS whose output and gradients are those of plain attention, on three rows that share a head."""
    random = torch.Generator().manual_seed(0)
    shape = (24, heads, width), (24, few, width), (24, few, width), (24, heads, width)
    *rows, upstream = (torch.randn(size, generator=random).to(device, dtype) for size in shape)
    keys = torch.tensor([*range(4), *range(4), *range(4, 11), *range(4), *range(11, 24)])
    edges = torch.tensor([[0, 4, 11, 24], [0, 4, 15, 32]], dtype=torch.int32)
    spans = Spans((), (), keys, keys, edges, (13, 17)).to(device)
    window = 5 if windowed else None
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        expected = differentiated(plainly, rows, upstream, spans, window)
        for offered in KERNELS:
            try:
                found = differentiated(offered, rows, upstream, spans, window)
            except (ImportError, TypeError, ValueError, RuntimeError, NotImplementedError):
                continue
            if all(apart(one, other) <= LIMIT for one, other in zip(found, expected, strict=True)):
                return offered
    return None


def differentiated(
    kernel: Kernel, rows: list[Tensor], upstream: Tensor, spans: Spans, window: int | None
) -> list[Tensor]:
    """The output, and the gradients of query, key and value."""
    leaves = [row.clone().requires_grad_() for row in rows]
    found = kernel(leaves[0], leaves[1], leaves[2], spans, 0.3, window)
    return [found.detach(), *torch.autograd.grad(found, leaves, upstream.to(found.dtype))]


def plainly(query: Tensor, key: Tensor, value: Tensor, spans: Spans, scale: float | None, window: int | None) -> Tensor:
    """What a kernel should do: example by example, in fp32, with a mask for each."""
    key, value = read(key, spans), read(value, spans)
    found = []
    for (first, last), (begin, end) in zip(*map(pairwise, spans.edges.tolist()), strict=True):
        own, all_read = last - first, end - begin
        seen = torch.ones(own, all_read, dtype=torch.bool, device=query.device).tril(all_read - own)
        if window is not None:
            seen = seen.triu(all_read - own + 1 - window)
        q, k, v = (part.float().transpose(0, 1) for part in (query[first:last], key[begin:end], value[begin:end]))
        few = k.shape[0] != q.shape[0]
        out = scaled_dot_product_attention(q[None], k[None], v[None], seen, scale=scale, enable_gqa=few)
        found.append(out[0].transpose(0, 1))
    return torch.cat(found)


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a share of the largest value; infinite where one is no number."""
    most = float((found.float() - expected.float()).abs().max()) / max(float(expected.float().abs().max()), 1e-30)
    return most if most == most else float("inf")
