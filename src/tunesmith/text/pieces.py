"""Tokenizing without reading twice: texts are cut where the tokenizer cuts them whatever stands around, pieces met
and words met before are not tokenized again.

A tokenizer looks for its added tokens first, and everything after that (normalizing, splitting into words, merging)
sees one stretch between them at a time: the ids of a text are those of the stretches, one after the other. Within
a stretch, many tokenizers never let a word run from a visible character on to a line break; their lines can be told
apart as well. `learn_seams` looks at the parts of a tokenizer for what makes this so, and where it finds anything
that it does not know, texts are tokenized whole.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from tunesmith.text.guard import GUARD
from tunesmith.text.tokenizer import encode
from tunesmith.text.wordtable import WordTable, learn_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

LINE = re.compile(r"\n(?<=\S\n)")  # a line break after a visible character

# Words that hold no line break after a visible character, and look no further than the white space they stand in.
WORDS = frozenset(
    (
        r"'s",
        r"'t",
        r"'re",
        r"'ve",
        r"'m",
        r"'ll",
        r"'d",
        r" ?\p{L}+",
        r" ?\p{N}+",
        r" ?[^\s\p{L}\p{N}]+",
        r"\s+(?!\S)",
        r"\s+",
        r"[A-Za-z]+",
        r"[\s\S]",
    )
)
LITERAL = re.compile(r"(?:[^\\\[\](){}.*+?^$|\n]|\\[^A-Za-z0-9\n])+")  # characters that stand for themselves


@dataclass(frozen=True, slots=True)
class Seams:
    """Where texts may be cut: around the matches of `tokens`; with `lines`, also before the matches of LINE.

    words  tokenizes a piece word by word
    grow   a text that goes on is cut as before up to the last piece: no added token holds another
    """

    tokens: re.Pattern[str] | None = None
    lines: bool = False
    words: WordTable | None = None
    grow: bool = True

    def pieces(self, text: str) -> Iterable[str]:
        """The text in pieces whose ids, one after the other, are the ids of the text."""
        stretches = self.tokens.split(text) if self.tokens else [text]
        return chain.from_iterable(map(cut_lines, stretches)) if self.lines else stretches


def cut_lines(text: str) -> Iterator[str]:
    first, *others = LINE.split(text)
    yield first
    for other in others:
        yield "\n" + other


def learn_seams(backend: "Tokenizer") -> Seams:
    """Where the tokenizer splits any text; nowhere if a part may look beyond. Ask when it has all tokens."""
    added = backend.get_added_tokens_decoder().values()
    if backend.truncation or backend.padding or any(t.lstrip or t.rstrip or t.single_word for t in added):
        return Seams()
    splitter = parts_of(backend.pre_tokenizer)
    if any(part.get("prepend_scheme") == "first" for part in splitter):  # asks whether a stretch opens the text
        return Seams()
    plain = backend.normalizer is None
    apart = [token.content for token in added if plain or not token.normalized]
    if len({token.normalized for token in added}) > 1:  # looked for in two passes
        apart = [token.content for token in added if not token.normalized]
    tokens = re.compile(f"({'|'.join(map(re.escape, sorted(apart, key=len, reverse=True)))})") if apart else None
    lines = plain and not any("\n" in token.content for token in added) and keeps_lines(splitter)
    words = learn_words(backend, splitter) if len(apart) == len(added) else None
    return Seams(tokens, lines, words, not any(one != other and one in other for one in apart for other in apart))


def parts_of(splitter: Any) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer, as it describes itself."""
    if splitter is None:
        return []
    told = json.loads(splitter.__getstate__())
    return list(told.get("pretokenizers", [told]))


def keeps_lines(splitter: Sequence[dict[str, Any]]) -> bool:
    """Whether words never run over a line break that follows a visible character: GPT-2's, or by a like pattern."""
    *before, last = splitter or [{}]
    if last.get("type") != "ByteLevel" or last["add_prefix_space"]:
        return False
    if not before:
        return bool(last["use_regex"])
    return len(before) == 1 and not last["use_regex"] and keeps_lines_apart(before[0])


def keeps_lines_apart(step: dict[str, Any]) -> bool:
    pattern = step.get("pattern", {}).get("Regex")
    if step["type"] != "Split" or step["behavior"] != "Isolated" or step["invert"] or not pattern:
        return False
    return all(word in WORDS or LITERAL.fullmatch(word) for word in re.split(r"(?<!\\)\|", pattern))


def encode_pieces(tokenizer: "PreTrainedTokenizerFast", seams: Seams, texts: Sequence[str]) -> list[list[int]]:
    """The same ids as `encode`; what the texts have in common is tokenized once."""
    cut = list(cut_all(seams, texts))
    unique = list(dict.fromkeys(chain.from_iterable(cut)))
    known = dict(zip(unique, encode_unique(tokenizer, seams, unique), strict=True))
    return [list(chain.from_iterable(map(known.__getitem__, pieces))) for pieces in cut]


def count_tokens(backend: "Tokenizer", seams: Seams, texts: Sequence[str]) -> list[int]:
    """How many ids the tokenizer gives each text. Text that looks like a control token is one, nothing is guarded."""
    if seams.words is None:
        return list(map(len, backend.encode_batch_fast(list(texts), add_special_tokens=False)))
    cut = [seams.tokens.split(text) if seams.tokens else [text] for text in texts]  # every second piece a token
    counts = iter(seams.words.count([piece for pieces in cut for piece in pieces[::2]]))
    return [sum(islice(counts, len(pieces[::2])), len(pieces) // 2) for pieces in cut]


def cut_all(seams: Seams, texts: Iterable[str]) -> Iterator[list[str]]:
    """The pieces of each text; one that goes on from the text before it, as an answer from its prompt, is cut from
    that one's last piece on."""
    before, pieces = "", [""]
    for text in texts:
        if GUARD in text:
            yield [text]
            continue
        if not seams.grow or not text.startswith(before):
            before, pieces = "", [""]
        start = len(before) - len(pieces[-1])
        before, pieces = text, [*pieces[:-1], *seams.pieces(text[start:])]
        yield pieces


def encode_unique(tokenizer: "PreTrainedTokenizerFast", seams: Seams, pieces: Sequence[str]) -> list[list[int]]:
    if seams.words is None:
        return encode(tokenizer, pieces)
    plain = [GUARD not in piece and not (seams.tokens and seams.tokens.fullmatch(piece)) for piece in pieces]
    whole = iter(encode(tokenizer, [piece for piece, found in zip(pieces, plain, strict=True) if not found]))
    split = iter(seams.words.encode([piece for piece, found in zip(pieces, plain, strict=True) if found]))
    return [next(split if found else whole) for found in plain]
