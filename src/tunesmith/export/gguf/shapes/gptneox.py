"""GPT-NeoX (Pythia, Dolly): one fused projection, part of each head turned, attention and feed-forward side by side."""

from tunesmith.export.gguf.shapes import rope
from tunesmith.export.gguf.shapes.shape import Config, Fields, Floats, Shape, by_kind, named

NEEDS = named(
    """gpt_neox.embed_in.weight gpt_neox.final_layer_norm.weight gpt_neox.final_layer_norm.bias
    gpt_neox.layers.N.input_layernorm.weight gpt_neox.layers.N.input_layernorm.bias
    gpt_neox.layers.N.post_attention_layernorm.weight gpt_neox.layers.N.post_attention_layernorm.bias
    gpt_neox.layers.N.attention.query_key_value.weight gpt_neox.layers.N.attention.query_key_value.bias
    gpt_neox.layers.N.attention.dense.weight gpt_neox.layers.N.attention.dense.bias
    gpt_neox.layers.N.mlp.dense_h_to_4h.weight gpt_neox.layers.N.mlp.dense_h_to_4h.bias
    gpt_neox.layers.N.mlp.dense_4h_to_h.weight gpt_neox.layers.N.mlp.dense_4h_to_h.bias"""
)
READS = named(
    """hidden_size intermediate_size num_hidden_layers num_attention_heads layer_norm_eps use_parallel_residual
    rotary_pct partial_rotary_factor rotary_emb_base attention_bias"""
)


def turned(config: Config) -> int:
    """How many numbers of a head are turned."""
    share = rope.settings(config).get("partial_rotary_factor") or config.get("rotary_pct") or 1.0
    return int(share * (config["hidden_size"] // config["num_attention_heads"]))


def fields(config: Config) -> Fields:
    return {
        "context_length": int(config["max_position_embeddings"]),
        "embedding_length": int(config["hidden_size"]),
        "block_count": int(config["num_hidden_layers"]),
        "feed_forward_length": int(config["intermediate_size"]),
        "attention.head_count": int(config["num_attention_heads"]),
        "attention.layer_norm_epsilon": float(config["layer_norm_eps"]),
        "use_parallel_residual": bool(config["use_parallel_residual"]),
        "rope.dimension_count": turned(config),
        "vocab_size": int(config["vocab_size"]),
    } | rope.fields(config)


def arrange(name: str, weight: Floats, config: Config) -> Floats:
    return by_kind(weight, int(config["num_attention_heads"])) if ".attn_qkv." in name else weight


SHAPE = Shape(
    architecture="gptneox",
    needs=NEEDS,
    may=named("embed_out.weight lm_head.weight"),
    reads=READS,
    fields=fields,
    same={"hidden_act": ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh")},
    arrange=arrange,
)
