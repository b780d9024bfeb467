"""POST /v1/completions: text goes on from a prompt; with `echo` and `logprobs`, how likely the prompt itself is."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import accumulate
from typing import Any, Literal

import torch
from fastapi import APIRouter
from fastapi.responses import Response
from torch import Tensor

from tunesmith.serve.answering import Whole, Wish, answers, asks_for, wholes
from tunesmith.serve.engines.base import Step
from tunesmith.serve.house import House, Served
from tunesmith.serve.limits import ApiError
from tunesmith.serve.routes.common import (
    ASKING,
    STREAMED,
    Leave,
    TheHouse,
    events,
    head,
    refuse_options_without_stream,
    several,
    usage,
)
from tunesmith.serve.schema import CompletionChoice, CompletionLogprobs, CompletionReply, CompletionRequest
from tunesmith.serve.tongue import Tongue, characters, spelled

router = APIRouter()


@router.post("/v1/completions", response_model=CompletionReply, responses=ASKING | STREAMED)
async def completions(request: CompletionRequest, house: TheHouse, leave: Leave) -> CompletionReply | Response:
    """Text that goes on from each prompt."""
    refuse_options_without_stream(request)
    if request.stream and request.echo:
        raise ApiError(400, "echo cannot be streamed", "echo")
    served = house.model(request.model)
    if request.echo and request.logprobs is not None:
        served.need_logits("echo")
    prompts = [ids_of(prompt, served.tongue) for prompt in several(request.prompt)]
    most = 16 if request.max_tokens is None else request.max_tokens
    asks = [ask for ids in prompts for ask in asks_for(served, ids, request, most, request.logprobs)]
    leave.enter_context(house.place(len(asks)))
    wish = Wish(asks, request.stops)
    if request.stream:
        return events(chunks(house, served, wish, request), leave)
    found = await wholes(house, served, wish)
    said = sum(len(whole.steps) for whole in found)
    if request.echo:
        for ask, whole in zip(asks, found, strict=True):
            await echo(served, ask.ids, whole, request.logprobs)
    return CompletionReply(
        **head("text_completion", served.id),
        choices=[choice(number, whole, served.tongue, request) for number, whole in enumerate(found)],
        usage=usage(sum(map(len, prompts)), said),
    )


def ids_of(prompt: str | list[int], tongue: Tongue) -> list[int]:
    """Ids of a prompt that came as text or as ids. Raises ApiError for ids beyond the vocabulary."""
    if isinstance(prompt, str):
        return tongue.encode(prompt)
    if max(prompt) >= tongue.size:
        raise ApiError(400, f"the model has tokens up to {tongue.size - 1}", "prompt")
    return prompt


async def echo(served: Served, ids: Sequence[int], whole: Whole, top: int | None) -> None:
    """Put the prompt before the answer, with log-probabilities where they are wanted."""
    stream = served.tongue.stream()
    whole.text = "".join(map(stream.push, ids)) + whole.text
    if top is not None:
        logits = await asyncio.to_thread(served.engine.logits, ids)
        whole.steps = [*prompt_steps(ids, logits, top), *whole.steps]


def prompt_steps(ids: Sequence[int], logits: Tensor, top: int) -> list[Step]:
    """Each token of a prompt from [T, V] logits; nothing predicts the first, which has a NaN."""
    chances = torch.log_softmax(logits[:-1].float(), -1)
    mine = chances.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()
    best = chances.topk(min(top, chances.shape[-1]), -1)
    tops = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    rest = (
        Step(token, value, tuple(zip(*pair, strict=True)))
        for token, value, pair in zip(ids[1:], mine, tops, strict=True)
    )
    return [Step(ids[0], float("nan")), *rest]


def choice(number: int, whole: Whole, tongue: Tongue, request: CompletionRequest) -> CompletionChoice:
    made = None if request.logprobs is None else logprobs(whole.steps, tongue)
    reason: Literal["stop", "length"] = "length" if whole.reason == "length" else "stop"
    return CompletionChoice(index=number, text=whole.text, logprobs=made, finish_reason=reason)


def logprobs(steps: Sequence[Step], tongue: Tongue, offset: int = 0) -> CompletionLogprobs:
    """OpenAI's older form; the first token of an echoed prompt has null. `offset`: where the first token stands."""
    names = [named(tongue, step.token) for step in steps]
    unknown = [step.logprob != step.logprob for step in steps]
    return CompletionLogprobs(
        tokens=[name for name, _ in names],
        token_logprobs=[None if nan else step.logprob for nan, step in zip(unknown, steps, strict=True)],
        top_logprobs=[
            None if nan else {named(tongue, token)[0]: value for token, value in reversed(step.top)}
            for nan, step in zip(unknown, steps, strict=True)
        ],
        text_offset=list(accumulate((width for _, width in names[:-1]), initial=offset)) if names else [],
    )


def named(tongue: Tongue, token: int) -> tuple[str, int]:
    """A token's name in OpenAI's older form, and the characters that begin in it; bytes:\\xf0 is a part of one."""
    text, raw = spelled(tongue, token)
    if raw is None or text.encode() == raw:
        return text, len(text)
    return f"bytes:{text}", characters(raw)


async def chunks(
    house: House, served: Served, wish: Wish, request: CompletionRequest
) -> AsyncGenerator[dict[str, Any], None]:
    begun = head("text_completion", served.id)
    said, places = 0, [0] * len(wish.asks)
    async for number, piece in answers(house, served, wish):
        said += len(piece.steps)
        told = None
        if request.logprobs is not None:
            told = logprobs(piece.steps, served.tongue, places[number])
            places[number] += sum(named(served.tongue, step.token)[1] for step in piece.steps)
        made = {"index": number, "text": piece.text, "finish_reason": piece.reason}
        yield begun | {"choices": [made | {"logprobs": told and told.model_dump()}]}
    if request.stream_options and request.stream_options.include_usage:
        read = sum(len(ask.ids) for ask in wish.asks) // (request.n or 1)
        yield begun | {"choices": [], "usage": usage(read, said).model_dump()}
