"""Texts as points: near where they are alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.draw import scatter

DIMENSIONS = 512
GRAMS = (2, 3)  # characters; two are a word in Chinese, three a syllable elsewhere
LONGEST = 512  # tokens that an encoder reads of a text


def embed(texts: Sequence[str], encoder: str = "") -> NDArray[np.float32]:
    """[texts, dimensions] vectors of length 1, of zeros where there is no text. A text's vector hangs on it alone.

    encoder  "": character n-grams, needs no model; else a folder or hub id, of which the last layer is averaged
    """
    if not texts:
        return np.zeros((0, DIMENSIONS), np.float32)
    return unit(encoded(texts, encoder) if encoder else projected(texts))


def unit(points: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths, lengths, 1), np.float32)


def projected(texts: Sequence[str]) -> NDArray[np.float32]:
    """Roots of the counts of n-grams, thrown by hash and sign on 512 axes (Weinberger et al., 2009): angles survive."""
    texts = ["\0" + " ".join(text.lower().split()) + "\0" if text.strip() else "" for text in texts]
    lengths = np.array([len(text) for text in texts])
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    letters = np.frombuffer(joined, np.uint32).astype(np.uint64)
    owners = np.repeat(np.arange(len(texts)), lengths)
    found = [grams(letters, owners, n) for n in GRAMS]
    rows, hashes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return thrown(rows, hashes, len(texts))


def grams(
    letters: NDArray[np.uint64], owners: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """For every run of n letters within one text, the text's number and a hash of the run."""
    last = max(len(letters) - n + 1, 0)
    hashes = np.full(last, n, np.uint64)
    for offset in range(n):
        hashes = scatter(hashes ^ letters[offset : last + offset])
    inside = owners[:last] == owners[n - 1 :]
    return owners[:last][inside], hashes[inside]


def thrown(rows: NDArray[np.int64], hashes: NDArray[np.uint64], texts: int) -> NDArray[np.float32]:
    """[texts, dimensions] the sums of what lands on each axis."""
    order = np.lexsort((hashes, rows))
    rows, hashes = rows[order], hashes[order]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]) | (hashes[1:] != hashes[:-1])])
    if not len(rows):
        return np.zeros((texts, DIMENSIONS), np.float32)
    weights = np.sqrt(np.diff(np.r_[starts, len(rows)]))
    signs = np.where(hashes[starts] >> np.uint64(63), 1.0, -1.0)
    cells = rows[starts] * DIMENSIONS + (hashes[starts] % np.uint64(DIMENSIONS)).astype(np.int64)
    sums = np.bincount(cells, weights * signs, minlength=texts * DIMENSIONS)
    return sums.reshape(texts, DIMENSIONS).astype(np.float32)


def encoded(texts: Sequence[str], encoder: str) -> NDArray[np.float32]:
    """[texts, width of the model]. A text at a time: what else lies in a batch must not change a digit."""
    import torch

    from tunesmith.data.pretrained import encoder as load

    model, tokenizer = load(encoder)
    points = []
    for text in texts:
        ids = tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = model(input_ids=ids.to(model.device)).last_hidden_state
        points.append(states[0].float().mean(0).cpu().numpy())
    return np.stack(points)
