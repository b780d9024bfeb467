"""Texts as vectors of length 1, so that a product of two is their cosine."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors = NDArray[numpy.float32]

HASHED = "hashed"
WIDTH = 512  # numbers a vector of the hashed encoder; unlike texts then have cosines of about ±0.05
GRAMS = (3, 4, 5)  # characters
TOGETHER = 32  # texts in a batch of a model
LONGEST = 512  # tokens of a text that a model reads


@cache
def encoder(name: str) -> "Callable[[Sequence[str]], Vectors]":
    """The hashed encoder, or a model of a folder or of the Hugging Face hub; made once a process."""
    return hashed if name == HASHED else pooled(name)


def hashed(texts: Sequence[str]) -> "Vectors":
    """[texts, WIDTH]: counts of n-grams of characters under a random projection of signs (Weinberger et al., 2009).

    It needs no model and no network, and knows spelling, not meaning: what shares words and stems is near, in whatever
    order; paraphrases in other words are not. Square roots keep what is repeated from outweighing the rest.
    """
    import numpy

    from tunesmith.data.shingles import rolling, words

    made = numpy.empty((len(texts), WIDTH), numpy.float32)
    for row, text in enumerate(texts):
        spaced = f" {' '.join(words(text)) or text} "
        codes = numpy.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), numpy.uint32).astype(numpy.uint64)
        grams = numpy.concatenate([rolling(codes, n) for n in GRAMS])
        signs = (grams >> numpy.uint64(63)).astype(numpy.float64) * 2 - 1
        made[row] = numpy.bincount((grams >> numpy.uint64(32)) % numpy.uint64(WIDTH), signs, WIDTH)
    return unit(numpy.sign(made) * numpy.sqrt(numpy.abs(made)))


def unit(vectors: "Vectors") -> "Vectors":
    """Of length 1; a vector of zeros stays as it is."""
    import numpy

    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    return numpy.asarray(vectors / numpy.maximum(lengths, 1e-12), numpy.float32)


def pooled(name: str) -> "Callable[[Sequence[str]], Vectors]":
    """The mean of a model's last states over the tokens of a text. Raises UserError where it cannot be opened."""
    import numpy
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from tunesmith.data import pretrained

    model, tokenizer = pretrained.encoder(name)
    longest = min(LONGEST, tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", LONGEST))

    @torch.inference_mode()
    def batch(texts: Sequence[str]) -> "Vectors":
        given = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
        rows = [torch.tensor(ids or [0]) for ids in given]
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        states = model(input_ids=pad_sequence(rows, batch_first=True), attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1)
        return numpy.asarray((states * weights).sum(1).float() / weights.sum(1), numpy.float32)

    def encode(texts: Sequence[str]) -> "Vectors":
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # little padding
        made = [batch([texts[row] for row in order[at : at + TOGETHER]]) for at in range(0, len(order), TOGETHER)]
        return unit(numpy.concatenate(made)[numpy.argsort(order)])

    return encode
