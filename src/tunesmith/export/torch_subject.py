"""A model as transformers runs it, ready for the questions of a verification."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from tunesmith.chat import open_renderer
from tunesmith.errors import UserError
from tunesmith.evaluate.answer import answer
from tunesmith.messages import tr
from tunesmith.models.adapted import ask
from tunesmith.models.load import load_model, load_tokenizer
from tunesmith.records import Message
from tunesmith.text.render import Renderer
from tunesmith.text.tokenizer import encode


@dataclass(frozen=True, slots=True)
class TorchSubject:
    """A Subject. The model may carry an adapter."""

    model: PreTrainedModel
    renderer: Renderer

    def tokenize(self, text: str) -> list[int]:
        return encode(self.renderer.tokenizer, [text])[0]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return self.renderer.prompt(messages)

    @torch.inference_mode()
    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        given = torch.tensor([list(ids)], device=self.model.device)
        found: Any = ask(self.model, input_ids=given, use_cache=False).logits[0]
        return cast(NDArray[np.float32], found.float().cpu().numpy())

    def answer(self, ids: Sequence[int], most: int) -> list[int]:
        return answer(self.model, self.renderer.tokenizer, [list(ids)], most, self.stop_ids)[0]

    @property
    def stop_ids(self) -> set[int]:
        """Where an answer ends: the end marks of the template, and what the generation settings add."""
        known = getattr(self.model.generation_config, "eos_token_id", None)
        return {*self.renderer.stop_ids, *([known] if isinstance(known, int) else known or ())}


def open_torch(model: str | Path) -> TorchSubject:
    """The model in a folder (or a hub id), an adapter on its base, computing in fp32; on the GPU if there is one."""
    loaded: torch.nn.Module = load_model(str(model))
    if torch.cuda.is_available():
        loaded = loaded.cuda()
    return TorchSubject(cast(PreTrainedModel, loaded), own_renderer(str(model)))


def own_renderer(model: str) -> Renderer:
    """The model's tokenizer with the chat template that it carries. UserError where it carries none that it knows."""
    tokenizer = load_tokenizer(model)
    if not tokenizer.chat_template:
        raise UserError(
            tr("{model} has no chat template: nobody could ask an export of it anything", model=model),
            tr("tune it first: tunesmith tune --base {model} --data DATA --out OUT", model=model),
        )
    return open_renderer(model, tokenizer)
