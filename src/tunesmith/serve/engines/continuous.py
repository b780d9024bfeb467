"""transformers' continuous batching: all running answers advance in one forward pass over a paged cache.

The library draws for itself, with one seed for all. Here a logits processor, its own way to be extended, draws each
answer with the seed and settings that were asked for, and hands the choice on as the only possible one.
"""

import math
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, cast

import torch
from torch import Tensor
from transformers import ContinuousBatchingConfig, GenerationConfig, LogitsProcessorList, PreTrainedModel
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.continuous_api import OutputRouter

from tunesmith.models.adapted import bare
from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.draw import Draw, EngineError, deliver, received
from tunesmith.serve.engines.serial import all_logits, mean_state

PAGE = 64  # tokens that a page of the cache holds
PREFILL = 512  # tokens that one forward pass reads at most


class Chooser(ContinuousBatchingLogitsProcessor):
    """Draws the next token of every answer in the batch, each in its own way."""

    supported_kwargs: dict[str, type] = {}  # noqa: RUF012  (declared so by the library)
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.draws: dict[str, Draw] = {}
        self.rows: list[str] = []

    def fill_defaults(self, int32_tensor: Tensor) -> None:
        int32_tensor.fill_(0)

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> Tensor:
        """Note whose logits the rows of the next call are; called right before the forward pass."""
        self.rows = [request.state.request_id for request in requests_with_new_token]
        return torch.zeros(len(self.rows), dtype=torch.int32)

    def __call__(self, scores: Tensor, tensor_arg: Tensor) -> Tensor:
        """[N, V] logits -> [N, V] with 1 at the token that was drawn, 0 elsewhere: the library takes the largest."""
        chosen = torch.zeros_like(scores)
        for row, name in enumerate(self.rows):
            draw = self.draws.get(name)
            chosen[row, draw.take(scores[row]) if draw and not draw.over else 0] = 1
        deliver(self.draws.copy().values())
        return chosen


class Verdicts(OutputRouter):
    """What the library says at the end of an answer. The tokens have come from the Chooser; here an error is told."""

    def __init__(self, draws: dict[str, Draw]) -> None:
        super().__init__()
        self.draws = draws

    def deliver(self, output: Any) -> None:
        if output.is_finished() and (draw := self.draws.pop(output.request_id, None)):
            draw.end(EngineError(output.error) if output.error else None)

    def deliver_batch(self, outputs: list[Any]) -> None:
        for output in outputs:
            self.deliver(output)


class ContinuousEngine:
    """A causal model without a soft prompt. `slots` answers share the passes; others wait for theirs to end."""

    name = "transformers, continuous batching"
    shows_logits = True

    def __init__(self, model: PreTrainedModel, context: int, slots: int) -> None:
        self.model, self.context = model, context
        self.chooser = Chooser()
        self.numbers = count()
        self.manager = cast(Any, bare(model)).init_continuous_batching(
            GenerationConfig(do_sample=False, eos_token_id=-1),
            ContinuousBatchingConfig(
                page_size=PAGE,
                num_blocks=slots * math.ceil(context / PAGE) + 1,
                max_batch_tokens=max(PREFILL, slots),
                max_requests_per_batch=slots,
                use_async_batching=False,  # a draw is made before the next pass begins,
                use_cuda_graph=False,  # in Python
            ),
        )
        processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([self.chooser]))
        processors.tensors_required = 1
        self.manager.logit_processor = processors
        self.manager.output_router = Verdicts(self.chooser.draws)
        self.manager.start()

    def answer(self, ask: Ask) -> AsyncGenerator[Sequence[Step], None]:
        name = f"answer-{next(self.numbers)}"
        return received(ask, self._beginning(name), self._leaving(name))

    def _beginning(self, name: str) -> Callable[[Draw], None]:
        def begin(draw: Draw) -> None:
            self.chooser.draws[name] = draw
            added = self.manager.add_request(
                list(draw.ask.ids),
                request_id=name,
                max_new_tokens=draw.ask.sampling.max_new_tokens,
                eos_token_id=sorted(draw.ask.stop_ids) or -1,
            )
            if added is None:
                draw.end(EngineError("the engine is stopping"))

        return begin

    def _leaving(self, name: str) -> Callable[[Draw], None]:
        def leave(draw: Draw) -> None:
            draw.over = True
            if self.chooser.draws.pop(name, None):  # the library has not said that it is through with it
                self.manager.cancel_request(name)

        return leave

    def logits(self, ids: Sequence[int]) -> Tensor:
        with self._alone():
            return all_logits(self.model, ids)

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        with self._alone():
            return mean_state(self.model, ids)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Between two passes of the running answers."""
        with self.manager.pause():
            yield

    def alive(self) -> bool:
        return bool(self.manager.is_running())

    def close(self) -> None:
        self.manager.stop(block=True, timeout=30, hard_stop=True)
        self.manager.destroy()
