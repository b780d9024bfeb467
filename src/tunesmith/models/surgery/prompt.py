"""Learnt embeddings before the text."""

from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, cast

import torch
from peft import PromptTuningConfig
from torch import nn
from transformers import PreTrainedModel

from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.surgery.adapter import adapt


@dataclass(frozen=True, slots=True)
class Prompt:
    """Freeze the model and learn the embeddings of a prompt (Lester et al., 2021); rows of `new` tokens train too.

    init  tokens as which the prompt starts, from the first again when they are too few; none: random words
    """

    settings: recipe.Prompt = field(default_factory=recipe.Prompt)
    new: tuple[int, ...] = ()
    init: tuple[int, ...] = ()

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        embedding = cast(nn.Embedding, model.get_input_embeddings())
        places = self.settings.tokens
        if len(self.init) > places:
            raise UserError(
                tr("prompt.init has {count} tokens, and the prompt {places}", count=len(self.init), places=places),
                tr("set prompt.tokens={count}", count=len(self.init)),
            )
        some = list(islice(cycle(self.init), places)) if self.init else torch.randint(len(embedding.weight), (places,))
        with torch.no_grad():
            start = embedding(torch.as_tensor(some, device=embedding.weight.device))
        config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=places, token_dim=start.shape[1])
        adapted = adapt(model, config, self.new)
        with torch.no_grad():
            cast(Any, adapted).prompt_encoder["default"].embedding.weight.copy_(start)
        return adapted
