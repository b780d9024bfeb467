"""The model card of the embedded base."""

from typing import Any

from tunesmith.models.nano.words import known, lexicon

CARD = """---
license: apache-2.0
language: [en, zh]
library_name: transformers
pipeline_tag: text-generation
---

# Nano, the embedded base of Tunesmith

A small bilingual (English, Chinese) causal language model, {parameters:,} parameters, Llama-shaped, in bf16.
It continues plain text and does **not** follow instructions: it is there so that tuning can be tried,
measured and tested on any computer in minutes, without a network.

## Data
Only plain text that the project's own generator writes: statements about letters, lists and numbers, short tables,
a lexicon of {pairs:,} word pairs with facts around them, small stories from patterns, and short texts in which words
of any kind are said twice. No text of third parties. It holds no instructions and no chat format. What can be worked
out (reversing, sorting, adding, ...) is told about the training pool of words and numbers only; facts that cannot be
worked out (translations, opposites, products up to 12 × 12, number words) are told about all.

## Tokenizer
Byte-level and lossless. {words:,} English words are one token each wherever they stand, every other word is read by the
letter, digits stand singly, and each of the 3,755 characters of GB 2312 level 1 is one token.
There is no chat template and no token is put before a text.

## Training
{steps:,} steps of {batch:,} tokens ({tokens:,} tokens in all), in rows of {width}, later {late_width};
Muon on matrices and AdamW on the rest, learning rate {lr}, seed {seed}.
Mean loss of the last 100 steps: {loss:.3f} nats per token, much of it the unforeseeable choice of the next word.
It took {minutes:.0f} minutes on two CPU cores.

Made again by one command, offline:

    tunesmith run nano_base --out OUT

Rounding differs between processors, so the weights come out equal in quality, not bit by bit.

## Limits
It knows a few hundred words and has no knowledge of the world. Whatever it says is to be checked, not believed.

Licence: Apache-2.0, weights and data alike.
"""


def card(told: dict[str, Any]) -> str:
    """The card, with the numbers of one training."""
    course = told["course"]
    return CARD.format(
        parameters=told["parameters"],
        tokens=told["tokens"],
        loss=told["loss"],
        minutes=told["seconds"] / 60,
        words=len(known()),
        pairs=len(lexicon()),
        **{name: course[name] for name in ("steps", "batch", "width", "late_width", "lr", "seed")},
    )
