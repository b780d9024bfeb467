"""What the model answers to held-out prompts while it trains."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tunesmith.batch import Example
from tunesmith.chat import Sampling, beginning, generate
from tunesmith.models.adapted import bare, before
from tunesmith.models.attention import own_attention
from tunesmith.models.precision import Precision, arithmetic
from tunesmith.objectives.causal import takes
from tunesmith.tune.pack import read
from tunesmith.tune.parallel import opened
from tunesmith.tune.save import Saver, as_list, generation

LONGEST = 64  # tokens of an answer
SHORTEST = 16  # tokens that an answer may have, twice its reference more, before it is cut off
BEGINNING = 16  # tokens that stand for a prompt in text that is learnt from its first token on


@dataclass(frozen=True, slots=True)
class Sample:
    """The text before the first supervised token, the model's likeliest continuation, and the one that was learnt."""

    prompt: str
    answer: str
    reference: str


def ask(model: PreTrainedModel, examples: Sequence[Example], save: Saver, precision: Precision) -> list[Sample]:
    """A greedy answer to each example's prompt, as the saved model would give it, cut off after most(its reference).

    Draws no random numbers, and leaves the model in evaluation mode. Empty for a model that does not remember.
    """
    if not examples or not remembers(model, precision):
        return []
    stops = as_list(generation(model, save.tokenizer, save.stop_ids).eos_token_id)
    made = []
    with asked(model, precision):
        for prompt, reference in map(halves, examples):
            with opened(model):  # anew for each: a forward pass of the whole closes it
                answer = list(generate(model, prompt, stops, Sampling(max_new_tokens=most(len(reference)))))
            made.append(in_words(save.tokenizer, prompt, answer, reference))
    return made


def remembers(model: PreTrainedModel, precision: Precision) -> bool:
    """Whether the model hands out what it keeps of the tokens it has read; chat and serving need that too.

    Some take a cache and keep it to themselves: only a pass tells, here over one token.
    """
    if not takes(model, "past_key_values"):
        return False
    # not inference_mode: FSDP keeps what it makes at the first pass, and training could not write into that
    with asked(model, precision), opened(model), torch.no_grad():
        given, name, begun = beginning(model, [0])
        read = {**given, name: torch.tensor([list(begun)], device=model.device)}
        output: Any = bare(model)(**read, past_key_values=before(model, 1), use_cache=True)
    return getattr(output, "past_key_values", None) is not None


@contextmanager
def asked(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """Within, the model computes as it does when it answers; it stays in evaluation mode."""
    model.eval()
    with own_attention(bare(model)), arithmetic(precision, model.device):
        yield


def most(reference: int) -> int:
    """Tokens after which an answer is cut off, where `reference` were learnt: what goes on longer shows no more."""
    return min(LONGEST, SHORTEST + 2 * reference)


def in_words(tokenizer: PreTrainedTokenizerFast, prompt: list[int], answer: list[int], reference: list[int]) -> Sample:
    """The prompt with its control tokens, the rest without."""
    said, wanted = (tokenizer.decode(ids, skip_special_tokens=True) for ids in (answer, reference))
    return Sample(str(tokenizer.decode(prompt)), str(said), str(wanted))


def markdown(samples: Sequence[Sample]) -> str:
    """For pages that show text: every part as it is, in a block of its own."""
    blocks = []
    for number, sample in enumerate(samples, 1):
        for title, text in (("prompt", sample.prompt), ("answer", sample.answer), ("reference", sample.reference)):
            blocks += [f"**{number}. {title}**", "\n".join(f"    {line}" for line in text.split("\n"))]
    return "\n\n".join(blocks)


def halves(example: Example) -> tuple[list[int], list[int]]:
    """(what comes before the first supervised token, the supervised tokens from there to the next that is not)."""
    if example.encoder_ids:
        return list(example.encoder_ids), [
            token for token, weight in zip(example.ids, example.weights, strict=True) if weight
        ]
    start = read(example)
    if start == 1:
        start = max(1, min(BEGINNING, len(example) // 2))
    end = next((place for place in range(start, len(example)) if not example.weights[place]), len(example))
    return list(example.ids[:start]), list(example.ids[start:end])
