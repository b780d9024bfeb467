"""Which arithmetic a run uses: fp32, or bf16 matrix products over weights in fp32 or (bf16_sr) in bf16 themselves."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import nn

Precision = Literal["fp32", "bf16", "bf16_sr"]
CPU = torch.device("cpu")


def choose(wanted: Literal["auto", "fp32", "bf16", "bf16_sr"], device: torch.device) -> Precision:
    """auto: bf16 on a GPU that has it, or on a CPU where a matrix product is measured to be clearly faster in it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if 2 * product_seconds(torch.bfloat16) < product_seconds(torch.float32) else "fp32"


def product_seconds(
    dtype: torch.dtype,
    device: torch.device = CPU,
    shape: tuple[int, int, int] = (512, 512, 512),
    patience: float = 0.0,
) -> float:
    """Seconds of a product of [rows, inner] and [inner, columns]: the best of six, or of all that `patience` allows."""
    rows, inner, columns = shape
    generator = torch.Generator(device).manual_seed(0)  # of its own: a run's random numbers stay as they are
    left = torch.randn(rows, inner, device=device, generator=generator).to(dtype)
    right = torch.randn(inner, columns, device=device, generator=generator).to(dtype)
    times: list[float] = []
    until = time.perf_counter() + patience
    while len(times) < 6 or time.perf_counter() < until:
        start = time.perf_counter()
        _ = left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)


def arithmetic(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """The context in which a forward pass runs."""
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, torch.bfloat16)


def hold_in_bf16(model: nn.Module) -> None:
    """Round every weight to bf16, in place. Buffers stay: the frequencies of a rotary embedding need their digits."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()


@contextmanager
def in_fp32(model: nn.Module) -> Iterator[None]:
    """The same weights as fp32, to be compared exactly."""
    kept = [(parameter, parameter.data) for parameter in model.parameters()]
    for parameter, data in kept:
        parameter.data = data.float()
    try:
        yield
    finally:
        for parameter, data in kept:
            parameter.data = data
