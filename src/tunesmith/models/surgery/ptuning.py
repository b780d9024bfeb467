"""Embeddings before the text that a small network makes."""

from dataclasses import dataclass, field
from typing import cast

from peft import PromptEncoderConfig
from torch import nn
from transformers import PreTrainedModel

from tunesmith import recipe
from tunesmith.models.surgery.adapter import adapt


@dataclass(frozen=True, slots=True)
class Ptuning:
    """Freeze the model and learn a prompt through a network (Liu et al., 2021); rows of `new` tokens train too.

    The network is left out of what is saved: the prompt that it makes is enough.
    """

    settings: recipe.Ptuning = field(default_factory=recipe.Ptuning)
    new: tuple[int, ...] = ()

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        width = cast(nn.Embedding, model.get_input_embeddings()).weight.shape[1]
        config = PromptEncoderConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.settings.tokens,
            token_dim=width,
            encoder_hidden_size=self.settings.hidden or width,
            encoder_reparameterization_type=self.settings.network.upper(),
        )
        return adapt(model, config, self.new)
