"""Which arithmetic a run uses: fp32, or bf16 matrix products over fp32 master weights."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def choose(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """auto: bf16 on a GPU that has it, or on a CPU where a matrix product is measured to be clearly faster in it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if 2 * product_seconds(torch.bfloat16) < product_seconds(torch.float32) else "fp32"


def product_seconds(dtype: torch.dtype) -> float:
    """Shortest of a few timings of one matrix product on the CPU, in seconds."""
    left, right = torch.ones(512, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    times: list[float] = []
    for _ in range(6):
        start = time.perf_counter()
        _ = left @ right
        times.append(time.perf_counter() - start)
    return min(times)


def arithmetic(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """The context in which a forward pass runs."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
