"""vLLM and SGLang: how each is started, what it is asked, and how its answer is read. All else is the same for both.

Written from their source and documents (vLLM: `/v1/completions` with token ids, from 0.11 on; SGLang: `/generate`, from
0.5.7 on). Neither was run: both want a GPU.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.shape import Wanted

Json = dict[str, Any]
MARK = "token_id:"  # what stands before an id where vLLM writes tokens as ids


@dataclass(frozen=True, slots=True)
class Order:
    """What a program is started for. `context`: tokens of prompt and answer; `slots`: answers at once."""

    folder: str
    port: int
    context: int
    slots: int


@dataclass(frozen=True, slots=True)
class Program:
    """
    name       how it is told
    command    the name of its executable, and of the extra that installs it
    arguments  what follows on the command line
    path       where it is asked
    body       the request for one answer
    read       (an event, steps seen before, how many of the likeliest tokens) → the steps that are new in it
    spare      tokens of its context that it leaves empty
    settings   environment variables that it is started with
    """

    name: str
    command: str
    arguments: Callable[[Order], list[str]]
    path: str
    body: Callable[[Ask], Json]
    read: Callable[[Json, int, int | None], list[Step]]
    spare: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


def vllm_arguments(order: Order) -> list[str]:
    """The model's own defaults for sampling are left out (`--generation-config vllm`): every request says its own."""
    return [
        *("serve", order.folder, "--host", "127.0.0.1", "--port", str(order.port), "--generation-config", "vllm"),
        *("--max-model-len", str(order.context), "--max-num-seqs", str(order.slots)),
    ]


def vllm_body(ask: Ask) -> Json:
    """`ignore_eos`: nothing ends an answer but the tokens that are named here."""
    return {
        "prompt": list(ask.ids),
        "stream": True,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "max_tokens": ask.sampling.max_new_tokens,
        "temperature": ask.sampling.temperature,
        "top_p": ask.sampling.top_p,
        "seed": ask.sampling.seed,
        "stop_token_ids": sorted(ask.stop_ids),
        "ignore_eos": True,
        "logprobs": ask.top,
        **shaped(ask.wanted),
    }


def vllm_read(event: Json, seen: int, top: int | None) -> list[Step]:
    """Each event has the tokens since the last one. Among the likeliest stands the drawn token, likely or not."""
    steps = []
    for choice in event["choices"]:
        tokens: list[int] = choice["token_ids"]
        if top is None:
            steps += [Step(token) for token in tokens]
            continue
        told = choice["logprobs"]
        for token, logprob, best in zip(tokens, told["token_logprobs"], told["top_logprobs"], strict=True):
            pairs = ((int(name.removeprefix(MARK)), value) for name, value in best.items())
            steps.append(Step(token, logprob, likeliest(pairs, top)))
    return steps


def sglang_arguments(order: Order) -> list[str]:
    """Without `--enable-deterministic-inference` it passes over the seed of a request."""
    return [
        *("serve", "--model-path", order.folder, "--host", "127.0.0.1", "--port", str(order.port)),
        *("--context-length", str(order.context), "--max-running-requests", str(order.slots)),
        *("--skip-tokenizer-init", "--enable-deterministic-inference"),
    ]


def sglang_body(ask: Ask) -> Json:
    """Its seeds have 31 bits in some versions."""
    sampling = {
        "max_new_tokens": ask.sampling.max_new_tokens,
        "temperature": ask.sampling.temperature,
        "top_p": ask.sampling.top_p,
        "sampling_seed": ask.sampling.seed % 2**31,
        "stop_token_ids": sorted(ask.stop_ids),
        **shaped(ask.wanted),
    }
    made: Json = {"input_ids": list(ask.ids), "stream": True, "sampling_params": sampling}
    if ask.top is None:
        return made
    return made | {"return_logprob": True, "top_logprobs_num": ask.top, "logprob_start_len": -1}


def sglang_read(event: Json, seen: int, top: int | None) -> list[Step]:
    """Each event has all tokens from the first on."""
    tokens, about = event["output_ids"][seen:], event["meta_info"]
    if top is None:
        return [Step(token) for token in tokens]
    told = about["output_token_logprobs"][seen:]
    best = about["output_top_logprobs"][seen:] if top else [()] * len(told)
    return [
        Step(token, value[0], likeliest(((one[1], one[0]) for one in likely), top))
        for token, value, likely in zip(tokens, told, best, strict=False)  # what one lacks comes with the next event
    ]


def shaped(wanted: Wanted | None) -> Json:
    """The changes to logits that both know by the same names. A form is none of them: it is refused before."""
    if wanted is None:
        return {}
    return {
        "presence_penalty": wanted.presence,
        "frequency_penalty": wanted.frequency,
        "logit_bias": {str(token): by for token, by in wanted.bias.items()} or None,
    }


def likeliest(pairs: Iterable[tuple[int, float]], top: int) -> tuple[tuple[int, float], ...]:
    return tuple(sorted(pairs, key=lambda pair: -pair[1])[:top])


PROGRAMS: dict[str, Program] = {
    program.command: program
    for program in (
        Program(
            name="vLLM",
            command="vllm",
            arguments=vllm_arguments,
            path="/v1/completions",
            body=vllm_body,
            read=vllm_read,
            settings={"VLLM_NO_USAGE_STATS": "1"},
        ),
        Program(
            name="SGLang",
            command="sglang",
            arguments=sglang_arguments,
            path="/generate",
            body=sglang_body,
            read=sglang_read,
            spare=8,
            settings={"SGLANG_RETURN_ORIGINAL_LOGPROB": "1"},  # before temperature, as all engines here tell them
        ),
    )
}
