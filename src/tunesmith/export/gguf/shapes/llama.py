"""Llama and what is built like it (Mistral, Yi, TinyLlama, nano): rotary pairs side by side, perhaps biases."""

from tunesmith.export.gguf.shapes import rope
from tunesmith.export.gguf.shapes.shape import Config, Fields, Floats, Shape, by_halves, named

NEEDS = named(
    """model.embed_tokens.weight model.norm.weight
    model.layers.N.input_layernorm.weight model.layers.N.post_attention_layernorm.weight
    model.layers.N.self_attn.q_proj.weight model.layers.N.self_attn.k_proj.weight
    model.layers.N.self_attn.v_proj.weight model.layers.N.self_attn.o_proj.weight
    model.layers.N.mlp.gate_proj.weight model.layers.N.mlp.up_proj.weight model.layers.N.mlp.down_proj.weight"""
)
QKV_BIAS = named(
    "model.layers.N.self_attn.q_proj.bias model.layers.N.self_attn.k_proj.bias model.layers.N.self_attn.v_proj.bias"
)
OTHER_BIAS = named(
    """model.layers.N.self_attn.o_proj.bias model.layers.N.mlp.gate_proj.bias model.layers.N.mlp.up_proj.bias
    model.layers.N.mlp.down_proj.bias"""
)
READS = named(
    """hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim rms_norm_eps
    attention_bias mlp_bias"""
)


def head(config: Config) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def groups(config: Config) -> int:
    return int(config.get("num_key_value_heads") or config["num_attention_heads"])


def common(config: Config) -> Fields:
    """Hyperparameters of decoders with grouped attention, gated layers and root-mean-square norms."""
    return {
        "context_length": rope.context(config),
        "embedding_length": int(config["hidden_size"]),
        "block_count": int(config["num_hidden_layers"]),
        "feed_forward_length": int(config["intermediate_size"]),
        "attention.head_count": int(config["num_attention_heads"]),
        "attention.head_count_kv": groups(config),
        "attention.key_length": head(config),
        "attention.value_length": head(config),
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "rope.dimension_count": head(config),
        "vocab_size": int(config["vocab_size"]),
    }


def fields(config: Config) -> Fields:
    return common(config) | rope.fields(config, tables=True)


def arrange(name: str, weight: Floats, config: Config) -> Floats:
    if ".attn_q." in name:
        return by_halves(weight, int(config["num_attention_heads"]), head(config))
    return by_halves(weight, groups(config), head(config)) if ".attn_k." in name else weight


def tables(config: Config) -> dict[str, Floats]:
    found = rope.factors(config, head(config))
    return {} if found is None else {"rope_freqs.weight": found}


SHAPE = Shape(
    architecture="llama",
    needs=NEEDS,
    may=QKV_BIAS | OTHER_BIAS | {"lm_head.weight"},
    reads=READS,
    fields=fields,
    same={"hidden_act": ("silu", "swish"), "partial_rotary_factor": (1, 1.0, None)},
    arrange=arrange,
    tables=tables,
)
