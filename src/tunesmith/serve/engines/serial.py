"""The plain way of a torch model, for all that continuous batching cannot serve: one sequence a forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunesmith.chat import Continuation
from tunesmith.models.adapted import ask as forward
from tunesmith.models.inputs import encoded
from tunesmith.models.opening import opening


@dataclass(slots=True)
class SerialDecoder:
    """Slots that take turns, each with its own cache. `unread`: slots whose prompt has not been computed."""

    model: PreTrainedModel
    context: int
    slots: int
    name: str = "transformers, one by one"
    going: dict[int, Continuation] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)

    def begin(self, slot: int, ids: Sequence[int]) -> None:
        self.going[slot] = Continuation(self.model, ids)
        self.unread.add(slot)

    def step(self, tokens: Mapping[int, int]) -> Mapping[int, Tensor]:
        for slot, token in tokens.items():
            self.going[slot].add(token)
        now, self.unread = [*tokens, *self.unread], set()
        return {slot: self.going[slot].logits() for slot in now}

    def end(self, slot: int) -> None:
        self.going.pop(slot, None)
        self.unread.discard(slot)

    def logits(self, ids: Sequence[int]) -> Tensor:
        return all_logits(self.model, ids)

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        return mean_state(self.model, ids)

    def close(self) -> None:
        self.going.clear()


@torch.inference_mode()
def all_logits(model: PreTrainedModel, ids: Sequence[int]) -> Tensor:
    """[T, V] logits after each token of one text."""
    given = torch.tensor([list(ids)], device=model.device)
    found: Tensor = forward(model, input_ids=given, use_cache=False).logits[0].float().cpu()
    return found


@torch.inference_mode()
def mean_state(model: PreTrainedModel, ids: Sequence[int]) -> list[float]:
    """The mean over the text of the last hidden states; of an encoder–decoder, those of the encoder."""
    if opening(model):
        states = encoded(model, [ids], pad=0)["encoder_outputs"].last_hidden_state
    else:
        given = torch.tensor([list(ids)], device=model.device)
        states = forward(model, input_ids=given, use_cache=False, output_hidden_states=True).hidden_states[-1]
    mean: list[float] = states[0].float().mean(0).tolist()
    return mean
