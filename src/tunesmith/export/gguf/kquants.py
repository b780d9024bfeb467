"""Q4_K, Q5_K and Q6_K in NumPy: blocks of 256 numbers as llama.cpp reads them.

The layout of the blocks is that of ggml-common.h. How scales are found follows llama.cpp's idea (try a range of
scales, solve for scale and minimum by weighted least squares, keep the best), so the error is about the same.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

BLOCK = 256  # numbers that share a block
AT_ONCE = 512  # blocks worked on together: they stay in the processor's cache
GUARD = np.float32(1e-30)  # keeps a division by nothing finite


def quantize(weights: Floats, kind: str, importance: Floats | None = None) -> Bytes:
    """[rows, columns] as `kind` ("Q4_K", "Q5_K", "Q6_K") → [rows, bytes]; columns must be a multiple of 256.

    `importance` [columns] is the mean square of what each column is multiplied with; the error is weighed by it.
    """
    rows, columns = weights.shape
    pack = PACKERS[kind]
    blocks = weights.astype(np.float32, copy=False).reshape(-1, BLOCK)
    per_row = columns // BLOCK
    wanted = None if importance is None else importance.astype(np.float32).reshape(per_row, BLOCK)

    def part(start: int) -> Bytes:
        numbers = np.arange(start, min(start + AT_ONCE, len(blocks)))
        return pack(blocks[numbers], None if wanted is None else wanted[numbers % per_row])

    with ThreadPoolExecutor() as pool:
        packed = np.concatenate(list(pool.map(part, range(0, len(blocks), AT_ONCE))))
    return packed.reshape(rows, -1)


def q4_k(blocks: Floats, importance: Floats | None) -> Bytes:
    """[n, 256] → [n, 144]."""
    scales, levels = with_minimum(blocks, importance, 15, np.arange(-1, 1.01, 0.1))
    pairs = levels.reshape(-1, 4, 2, 32)
    return np.concatenate([scales, (pairs[:, :, 0] | (pairs[:, :, 1] << 4)).reshape(-1, 128)], 1)


def q5_k(blocks: Floats, importance: Floats | None) -> Bytes:
    """[n, 256] → [n, 176]: the fifth bits of the eight groups stand together."""
    scales, levels = with_minimum(blocks, importance, 31, np.arange(-0.5, 1.01, 0.1))
    groups = levels.reshape(-1, 8, 32)
    fifth = np.bitwise_or.reduce((groups >> 4) << np.arange(8, dtype=np.uint8)[:, None], axis=1)
    pairs = (groups & 15).reshape(-1, 4, 2, 32)
    return np.concatenate([scales, fifth, (pairs[:, :, 0] | (pairs[:, :, 1] << 4)).reshape(-1, 128)], 1)


def q6_k(blocks: Floats, importance: Floats | None) -> Bytes:
    """[n, 256] → [n, 210]: sixteen groups with a signed scale each, and one scale of all."""
    x = blocks.reshape(-1, 16, 16)
    found = symmetric(x, x * x if importance is None else importance.reshape(-1, 16, 16) + GUARD, 32)
    largest = np.take_along_axis(found, np.abs(found).argmax(1)[:, None], 1)
    whole = (largest / -128).astype(np.float16)
    step = whole.astype(np.float32)
    scales = nearest(found, step, -128, 127)
    levels = (nearest(x, (step * scales)[..., None], -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = levels & 15
    lower = np.concatenate([low[:, :, 0] | (low[:, :, 2] << 4), low[:, :, 1] | (low[:, :, 3] << 4)], -1)
    upper = np.bitwise_or.reduce((levels >> 4) << np.array([0, 2, 4, 6], np.uint8)[:, None], axis=2)
    parts = [lower.reshape(-1, 128), upper.reshape(-1, 64), scales.astype(np.int8).view(np.uint8), raw(whole)]
    return np.concatenate(parts, 1)


PACKERS: dict[str, Callable[[Floats, Floats | None], Bytes]] = {"Q4_K": q4_k, "Q5_K": q5_k, "Q6_K": q6_k}


def with_minimum(
    blocks: Floats, importance: Floats | None, top: int, tries: NDArray[np.float64]
) -> tuple[Bytes, Bytes]:
    """What Q4_K and Q5_K share: the head of each block [n, 16] and the levels [n, 8, 32], at most `top`.

    x ≈ scale × level - minimum in groups of 32; scales and minima are six-bit parts of two numbers per block.
    """
    x = blocks.reshape(-1, 8, 32)
    if importance is None:
        weights = np.sqrt((x * x).mean(-1, keepdims=True)) + np.abs(x)
    else:
        spread = 2 * (blocks * blocks).mean(-1)[:, None, None]
        weights = (importance.reshape(-1, 8, 32) + GUARD) * np.sqrt(spread + x * x)
    scale, minimum = fitted(x, weights + GUARD, top, tries)
    share = None if importance is None else weights.sum(-1)
    whole, steps = sixths(scale, share)
    whole_minimum, minimum_steps = sixths(minimum, share)
    size = (whole.astype(np.float32) * steps)[..., None]
    lift = (whole_minimum.astype(np.float32) * minimum_steps)[..., None]
    levels = nearest(x + lift, size, 0, top).astype(np.uint8)
    return np.concatenate([raw(whole), raw(whole_minimum), twelve(steps, minimum_steps)], 1), levels


def fitted(x: Floats, weights: Floats, top: int, tries: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Scale and minimum ≥ 0 of each group [..., 32] that leave the least weighted squared error of all tried."""
    low = np.minimum(x.min(-1, keepdims=True), 0)
    span = x.max(-1, keepdims=True) - low
    flat = span <= 0
    safe = np.where(flat, 1, span)
    scale, shift = span / top, low
    best = error(x, weights, scale, shift, np.clip(np.rint((x - low) * (top / safe)), 0, top))
    total, mass = weights.sum(-1, keepdims=True), (weights * x).sum(-1, keepdims=True)
    for extra in tries.astype(np.float32):
        level = np.clip(np.rint((x - low) * ((top + extra) / safe)), 0, top)
        weighed = weights * level
        first, second = weighed.sum(-1, keepdims=True), (weighed * level).sum(-1, keepdims=True)
        cross = (weighed * x).sum(-1, keepdims=True)
        determinant = total * second - first * first
        usable = determinant > 0
        divisor = np.where(usable, determinant, 1)
        slope, offset = (total * cross - mass * first) / divisor, (second * mass - first * cross) / divisor
        above = offset > 0
        slope = np.where(above, cross / np.maximum(second, GUARD), slope)
        offset = np.where(above, 0, offset)
        now = error(x, weights, slope, offset, level)
        better = usable & (now < best)
        best, scale, shift = (
            np.where(better, now, best),
            np.where(better, slope, scale),
            np.where(better, offset, shift),
        )
    return np.where(flat, 0, scale)[..., 0].astype(np.float32), -shift[..., 0].astype(np.float32)


def error(x: Floats, weights: Floats, scale: Floats, shift: Floats, level: Floats) -> Floats:
    difference = scale * level + shift - x
    return np.asarray((weights * difference * difference).sum(-1, keepdims=True), np.float32)


def sixths(values: Floats, share: Floats | None) -> tuple[NDArray[np.float16], Floats]:
    """Non-negative values [n, 8] as one half-precision number each row times whole numbers up to 63.

    With `share` [n, 8], what each value stands for, the number is the one of nine tried that fits best.
    """
    largest = values.max(1, keepdims=True)
    full = np.where(largest > 0, largest, 1)
    if share is None:
        whole = (largest / 63).astype(np.float16)
        return whole, nearest(values, whole.astype(np.float32), 0, 63)
    best, chosen = np.full_like(largest, np.inf), largest / 63
    for extra in np.arange(-0.4, 0.41, 0.1, dtype=np.float32):
        steps = np.clip(np.rint(values * ((63 + extra) / full)), 0, 63)
        weighed = share * steps
        size = (weighed * values).sum(1, keepdims=True) / np.maximum((weighed * steps).sum(1, keepdims=True), GUARD)
        now = (share * (size * steps - values) ** 2).sum(1, keepdims=True)
        best, chosen = np.where(now < best, now, best), np.where(now < best, size, chosen)
    whole = chosen.astype(np.float16)
    return whole, nearest(values, whole.astype(np.float32), 0, 63)


def symmetric(x: Floats, weights: Floats, half: int) -> Floats:
    """The signed scale of each group [..., n] that keeps most of it, its levels from -half to half - 1."""
    extreme = np.take_along_axis(x, np.abs(x).argmax(-1)[..., None], -1)
    safe = np.where(extreme == 0, 1, extreme)
    best, scale = np.full_like(extreme, -1), np.zeros_like(extreme)
    for extra in np.arange(-9, 10):
        level = np.clip(np.rint(x * (-(half + np.float32(0.1) * extra) / safe)), -half, half - 1)
        cross = (weights * x * level).sum(-1, keepdims=True)
        second = np.maximum((weights * level * level).sum(-1, keepdims=True), GUARD)
        gain = cross * cross / second
        better = gain > best
        best, scale = np.where(better, gain, best), np.where(better, cross / second, scale)
    return np.asarray(scale[..., 0], np.float32)


def nearest(values: Floats, step: Floats, low: int, high: int) -> Floats:
    """Whole numbers whose product with `step` comes closest; 0 where the step is 0."""
    divided = np.where(step != 0, values / np.where(step != 0, step, 1), 0)
    return np.asarray(np.clip(np.rint(divided), low, high), np.float32)


def twelve(steps: Floats, minima: Floats) -> Bytes:
    """Eight six-bit scales and eight six-bit minima in twelve bytes, as get_scale_min_k4 takes them apart."""
    scale, minimum = steps.astype(np.uint8), minima.astype(np.uint8)
    first = scale[:, :4] | ((scale[:, 4:] >> 4) << 6)
    second = minimum[:, :4] | ((minimum[:, 4:] >> 4) << 6)
    return np.concatenate([first, second, (scale[:, 4:] & 15) | ((minimum[:, 4:] & 15) << 4)], 1)


def raw(values: NDArray[np.float16]) -> Bytes:
    """[n, 1] half-precision numbers as [n, 2] bytes."""
    return np.ascontiguousarray(values).view(np.uint8)
