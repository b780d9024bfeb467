"""Qwen2: as Llama, with biases in front of attention, and rotary halves apart."""

from tunesmith.export.gguf.shapes import llama, rope
from tunesmith.export.gguf.shapes.shape import Config, Fields, Shape, named


def fields(config: Config) -> Fields:
    return llama.common(config) | rope.fields(config)


SHAPE = Shape(
    architecture="qwen2",
    needs=llama.NEEDS | llama.QKV_BIAS,
    may=named("lm_head.weight"),
    reads=llama.READS,
    fields=fields,
    same=llama.SHAPE.same,
)
