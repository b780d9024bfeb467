"""BLOOM: no rotary positions but slopes (ALiBi), one fused projection, a norm after the embedding."""

from tunesmith.export.gguf.shapes.shape import Config, Fields, Floats, Shape, by_kind, named

NEEDS = named(
    """word_embeddings.weight word_embeddings_layernorm.weight word_embeddings_layernorm.bias ln_f.weight ln_f.bias
    h.N.input_layernorm.weight h.N.input_layernorm.bias
    h.N.self_attention.query_key_value.weight h.N.self_attention.query_key_value.bias
    h.N.self_attention.dense.weight h.N.self_attention.dense.bias
    h.N.post_attention_layernorm.weight h.N.post_attention_layernorm.bias
    h.N.mlp.dense_h_to_4h.weight h.N.mlp.dense_h_to_4h.bias
    h.N.mlp.dense_4h_to_h.weight h.N.mlp.dense_4h_to_h.bias"""
)


def fields(config: Config) -> Fields:
    return {
        "context_length": int(config.get("seq_length") or 2048),
        "embedding_length": int(config["hidden_size"]),
        "block_count": int(config["n_layer"]),
        "feed_forward_length": 4 * int(config["hidden_size"]),
        "attention.head_count": int(config["n_head"]),
        "attention.head_count_kv": int(config["n_head"]),
        "attention.layer_norm_epsilon": float(config["layer_norm_epsilon"]),
        "vocab_size": int(config["vocab_size"]),
    }


def arrange(name: str, weight: Floats, config: Config) -> Floats:
    return by_kind(weight, int(config["n_head"])) if ".attn_qkv." in name else weight


SHAPE = Shape(
    architecture="bloom",
    needs=NEEDS,
    may=named("lm_head.weight"),
    reads=named("hidden_size n_layer n_head layer_norm_epsilon num_hidden_layers num_attention_heads n_embed"),
    fields=fields,
    same={"apply_residual_connection_post_layernorm": (False,)},
    arrange=arrange,
    layers="n_layer",
    prefix="transformer.",
)
