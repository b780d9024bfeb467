"""Which tensor gets how many bits: llama.cpp's own rules (llama_tensor_get_type of llama-quant.cpp)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tunesmith.export.gguf.kquants import BLOCK

QuantName = Literal["F32", "F16", "BF16", "Q8_0", "Q4_K_M", "Q5_K_M", "Q6_K"]

# What takes the place of a K-quant where a row is no multiple of 256, in blocks of 32.
IN_BLOCKS_OF_32 = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
SENSITIVE = re.compile(r"attn_(v|qkv)\.weight$|ffn_down\.weight$")
VALUES = re.compile(r"attn_(v|qkv)\.weight$")


@dataclass(frozen=True, slots=True)
class Quant:
    """A mix by its name.

    base    of most matrices       finer   of every third value and down projection, and of the first and last ones
    output  of the output layer    number  llama.cpp's LLAMA_FTYPE of the whole file
    """

    base: str
    finer: str
    output: str
    number: int


QUANTS: dict[QuantName, Quant] = {
    "F32": Quant("F32", "F32", "F32", 0),
    "F16": Quant("F16", "F16", "F16", 1),
    "BF16": Quant("BF16", "BF16", "BF16", 32),
    "Q8_0": Quant("Q8_0", "Q8_0", "Q8_0", 7),
    "Q4_K_M": Quant("Q4_K", "Q6_K", "Q6_K", 15),
    "Q5_K_M": Quant("Q5_K", "Q6_K", "Q6_K", 17),
    "Q6_K": Quant("Q6_K", "Q6_K", "Q6_K", 18),
}


def kind(name: str, shape: Sequence[int], quant: Quant, layers: int, tied: bool) -> str:
    """The ggml type of the tensor `name` (as GGUF calls it) of [rows, columns] numbers.

    `tied`: the embedding is the output layer too, and is kept as well as that.
    """
    if len(shape) < 2 or not name.endswith("weight") or "_norm" in name:
        return "F32"
    if not quant.base.startswith("Q"):
        return quant.base
    columns = shape[-1]
    if name == "output.weight" or (tied and name == "token_embd.weight"):
        return fitting(quant.output if columns % BLOCK == 0 else "Q8_0", columns)
    wanted = quant.base
    if SENSITIVE.search(name):
        if finer(layer(name), layers):
            wanted = quant.finer
        elif wanted == "Q4_K" and layers == 80 and VALUES.search(name):
            wanted = "Q5_K"  # of 70 B models, whose eight heads share one value projection
    return fitting(wanted, columns)


def finer(number: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between."""
    return number < layers // 8 or number >= 7 * layers // 8 or (number - layers // 8) % 3 == 2


def layer(name: str) -> int:
    found = re.match(r"blk\.(\d+)\.", name)
    return int(found.group(1)) if found else 0


def fitting(wanted: str, columns: int) -> str:
    """`wanted`, or what llama.cpp takes where rows of `columns` numbers do not fill its blocks."""
    if wanted in IN_BLOCKS_OF_32 and columns % BLOCK:
        wanted = IN_BLOCKS_OF_32[wanted]
    return wanted if columns % 32 == 0 else "F16"
