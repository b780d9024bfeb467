"""Qwen3: as Qwen2 without biases, with norms of queries and keys."""

from tunesmith.export.gguf.shapes import llama, qwen2
from tunesmith.export.gguf.shapes.shape import Shape, named

SHAPE = Shape(
    architecture="qwen3",
    needs=llama.NEEDS | named("model.layers.N.self_attn.q_norm.weight model.layers.N.self_attn.k_norm.weight"),
    may=named("lm_head.weight"),
    reads=llama.READS,
    fields=qwen2.fields,
    same=llama.SHAPE.same,
)
