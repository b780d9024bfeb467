"""What the shapes have in common: which tensors and settings they know, and how each is written."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.messages import tr

Config = Mapping[str, Any]
Floats = NDArray[np.float32]
Fields = dict[str, int | float | bool | str]

# Settings that change nothing of what a model computes once it is trained.
NEUTRAL = """
    architectures auto_map base_model_pp_plan base_model_tp_plan bos_token_id chunk_size_feed_forward dtype eos_token_id
    id2label initializer_range is_decoder is_encoder_decoder label2id layer_types max_position_embeddings
    max_window_layers model_type name_or_path num_labels output_attentions output_hidden_states pad_token_id
    pretraining_tp problem_type return_dict rope_parameters rope_scaling rope_theta sep_token_id seq_length
    slow_but_exact sliding_window task_specific_params tie_word_embeddings tokenizer_class torch_dtype
    transformers_version unk_token_id use_cache use_sliding_window vocab_size
    attention_dropout attention_softmax_in_fp32 bias_dropout_fusion classifier_dropout hidden_dropout
    masked_softmax_fusion n_inner offset_alibi skip_bias_add skip_bias_add_qkv unk_token
"""
LAYER = re.compile(r"\.\d+\.")


def as_is(name: str, weight: Floats, config: Config) -> Floats:
    return weight


def no_tables(config: Config) -> dict[str, Floats]:
    return {}


@dataclass(frozen=True, slots=True)
class Shape:
    """A way to compute that llama.cpp knows by `architecture`.

    needs    names of its tensors, with N for the number of a layer      may  those that may be there besides
    reads    settings that `fields` takes into account             same    settings that must have one of these values
    fields   configuration → hyperparameters as GGUF names them    prefix  stands before names in some files
    arrange  (GGUF name, weight, configuration) → the weight in the order that llama.cpp expects
    tables   configuration → tensors that llama.cpp wants and the model computes
    layers   the setting that holds the number of layers
    """

    architecture: str
    needs: frozenset[str]
    may: frozenset[str]
    reads: frozenset[str]
    fields: Callable[[Config], Fields]
    same: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    arrange: Callable[[str, Floats, Config], Floats] = as_is
    tables: Callable[[Config], dict[str, Floats]] = no_tables
    layers: str = "num_hidden_layers"
    prefix: str = ""

    def kinds(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(LAYER.sub(".N.", name.removeprefix(self.prefix)) for name in names)

    def distance(self, names: Sequence[str]) -> int:
        """How many kinds of tensors are here or there alone."""
        kinds = self.kinds(names)
        return len(self.needs - kinds) + len(kinds - self.needs - self.may)

    def fault(self, names: Sequence[str], config: Config) -> str:
        """What keeps a model from having this shape; empty if nothing does."""
        kinds = self.kinds(names)
        if lacking := sorted(self.needs - kinds):
            return tr("it has no tensor {name}", name=lacking[0])
        if strange := sorted(kinds - self.needs - self.may):
            return tr("llama.cpp knows no place for its tensor {name}", name=strange[0])
        for name, allowed in self.same.items():
            if name in config and config[name] not in allowed:
                return tr("it computes with {name}={value}", name=name, value=config[name])
        known = self.reads | named(NEUTRAL) | self.same.keys()
        told = {name for name, value in config.items() if value not in (None, False, 0, 0.0, [], {}, "")}
        if unknown := sorted(name for name in told - known if not name.startswith("_")):
            return tr("its configuration sets {name}, whose effect is not known here", name=unknown[0])
        return ""


def named(text: str) -> frozenset[str]:
    return frozenset(text.split())


def by_halves(weight: Floats, heads: int, turned: int) -> Floats:
    """Rows of each head from Hugging Face's order, first halves and second halves, to pairs."""
    rest = weight.shape[1:]
    return np.ascontiguousarray(weight.reshape(heads, 2, turned // 2, *rest).swapaxes(1, 2).reshape(weight.shape))


def by_kind(weight: Floats, heads: int) -> Floats:
    """Rows of a fused projection from (head, query/key/value, …) to (query/key/value, head, …)."""
    rest = weight.shape[1:]
    return np.ascontiguousarray(weight.reshape(heads, 3, -1, *rest).swapaxes(0, 1).reshape(weight.shape))
