"""The words of a model as GGUF holds them, and the ways to split text that llama.cpp knows.

llama.cpp splits text with code of its own, chosen by a name in the file. Which name is right is found by cutting
texts with the patterns behind the names, then proved where llama.cpp is installed. A byte-level tokenizer that none
of its ways equals is written with the nearest one, longest token first, and with its own description in full, from
which we tokenize.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.export.gguf.pretokenizers import suiting
from tunesmith.export.gguf.probes import probes
from tunesmith.messages import tr
from tunesmith.models.gguf_words import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from tunesmith.models.llamacpp import EXACT, installed, open_gguf

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Field = int | float | bool | str | Sequence[int] | Sequence[float] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One way to write a tokenizer.

    fields  keys of GGUF and their values                     own     the tokenizer's own description goes with it
    texts   probe texts that were compared; 0 without llama.cpp   wrong  of these, how many llama.cpp splits otherwise
    near    not meant to be equal, only the nearest there is
    """

    fields: dict[str, Field]
    own: str = ""
    texts: int = 0
    wrong: int = 0
    near: bool = False

    def written(self) -> dict[str, Field]:
        return self.fields | ({EXACT: self.own} if self.own else {})


@dataclass(frozen=True, slots=True)
class Source:
    """A fast tokenizer taken apart. `size` is the number of rows of the model's embedding."""

    tokenizer: "PreTrainedTokenizerFast"
    size: int
    described: dict[str, Any] = field(repr=False)

    @property
    def model(self) -> dict[str, Any]:
        return dict(self.described["model"])

    def added(self) -> dict[int, tuple[str, bool]]:
        """id → (text, whether it is a control token) of the tokens that are matched before text is split."""
        return {entry["id"]: (entry["content"], entry["special"]) for entry in self.described["added_tokens"]}

    def tokens(self) -> list[str]:
        """Text of every row of the embedding; rows without a token get a name that no text holds."""
        known = {number: text for text, number in self.tokenizer.get_vocab().items()}
        if known and max(known) >= self.size:
            raise UserError(
                tr("the tokenizer has a token {number}, and the model {size} rows", number=max(known), size=self.size),
                tr("check that tokenizer and model belong together"),
            )
        return [known.get(number, f"[PAD{number}]") for number in range(self.size)]

    def types(self, tokens: Sequence[str]) -> list[int]:
        known, added = self.tokenizer.get_vocab(), self.added()
        types = [NORMAL if known.get(text) == number else UNUSED for number, text in enumerate(tokens)]
        for number, (_, special) in added.items():
            types[number] = CONTROL if special else USER_DEFINED
        return types


def source(tokenizer: "PreTrainedTokenizerFast", size: int) -> Source:
    return Source(tokenizer, size, json.loads(tokenizer.backend_tokenizer.to_str()))


def choose(tokenizer: "PreTrainedTokenizerFast", size: int) -> Vocabulary:
    """The way to write `tokenizer` that splits text as it does, proved on texts where llama.cpp is installed.

    Raises UserError for a tokenizer that GGUF cannot hold.
    """
    taken = source(tokenizer, size)
    texts = probes(tokenizer)
    tried: list[Vocabulary] = []
    for candidate in candidates(taken, texts):
        if not installed():
            tried.append(candidate)
            break
        proved = prove(candidate, tokenizer, texts)
        tried.append(proved)
        if not proved.wrong:
            break
    if not tried:
        raise UserError(
            tr("GGUF cannot hold this tokenizer ({kind})", kind=taken.model["type"]),
            tr("what can be written are byte-level BPE and SentencePiece BPE with bytes"),
        )
    best = min(tried, key=lambda one: one.wrong)
    if best.wrong or best.near:
        return Vocabulary(best.fields, json.dumps(taken.described, ensure_ascii=False), best.texts, best.wrong)
    return best


def candidates(taken: Source, texts: Sequence[str]) -> Iterator[Vocabulary]:
    """Ways to write the tokenizer, the likeliest first."""
    if is_byte_level(taken):
        for name in suiting(taken.tokenizer, bool(taken.model.get("ignore_merges")), texts):
            yield Vocabulary(byte_level(taken, name))
        yield Vocabulary(longest_first(taken), near=True)
    elif is_pieces(taken):
        yield Vocabulary(pieces(taken))


def is_byte_level(taken: Source) -> bool:
    """BPE over the 256 letters that stand for bytes."""
    return bool(taken.model["type"] == "BPE" and set(letters().values()) <= taken.model["vocab"].keys())


def is_pieces(taken: Source) -> bool:
    """BPE as SentencePiece has it: ▁ for blanks, bytes for what has no piece."""
    model = taken.model
    return bool(model["type"] == "BPE" and model.get("byte_fallback") and "<0x0A>" in model["vocab"])


def letters() -> dict[int, str]:
    """The printable character that stands for each byte in byte-level vocabularies (as in GPT-2)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    odd = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(odd)}


def merges(taken: Source) -> list[str]:
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in taken.model["merges"]]


def byte_level(taken: Source, name: str) -> dict[str, Field]:
    """As GPT-2: merges within parts that the pattern called `name` cuts."""
    tokens = taken.tokens()
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": name,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": taken.types(tokens),
        "tokenizer.ggml.merges": merges(taken) or ["! !"],  # llama.cpp wants the list, even where nothing merges
    }


def longest_first(taken: Source) -> dict[str, Field]:
    """Without merges: the longest token that fits, from left to right, as RWKV's tokenizer."""
    back = {letter: byte for byte, letter in letters().items()}
    tokens = taken.tokens()
    types = taken.types(tokens)
    spelled = [
        repr(bytes(back[letter] for letter in text))[2:-1] if kind == NORMAL and set(text) <= back.keys() else text
        for text, kind in zip(tokens, types, strict=True)
    ]
    return {"tokenizer.ggml.model": "rwkv", "tokenizer.ggml.tokens": spelled, "tokenizer.ggml.token_type": types}


def by_number(tokenizer: "PreTrainedTokenizerFast", size: int) -> Vocabulary:
    """Every token under its id in six hexadecimal digits, control tokens as they are; any tokenizer can be written so.

    For a program that tokenizes by itself and reaches llama.cpp only by text: names of one length read as one id each.
    """
    taken = source(tokenizer, size)
    tokens = taken.tokens()
    types = [kind if kind == CONTROL else NORMAL for kind in taken.types(tokens)]
    names = [
        text if kind == CONTROL else f"{number:06x}"
        for number, (text, kind) in enumerate(zip(tokens, types, strict=True))
    ]
    fields: dict[str, Field] = {
        "tokenizer.ggml.model": "rwkv",
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": types,
    }
    return Vocabulary(fields, json.dumps(taken.described, ensure_ascii=False))


def pieces(taken: Source) -> dict[str, Field]:
    """As SentencePiece: pieces with scores, the best pair of neighbours first."""
    tokens = taken.tokens()
    types = taken.types(tokens)
    unknown = taken.model.get("unk_token")
    for number, text in enumerate(tokens):
        if text == unknown:
            types[number] = UNKNOWN
        elif len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            types[number] = BYTE
    rank: dict[str, int] = {}
    for place, merge in enumerate(taken.model["merges"]):
        left, right = merge if isinstance(merge, list) else merge.split(" ")
        rank.setdefault(left + right, place)
    last = len(rank)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(rank.get(text, last)) for text in tokens],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.add_space_prefix": starts_with_blank(taken),
    }


def starts_with_blank(taken: Source) -> bool:
    """Whether a blank is put before a text."""
    encoded = taken.tokenizer.backend_tokenizer.encode("a", add_special_tokens=False).tokens
    return bool(encoded) and encoded[0].startswith("▁")


def prove(candidate: Vocabulary, tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> Vocabulary:
    """The candidate with the number of texts that llama.cpp, given it, splits otherwise than the tokenizer."""
    from tunesmith.export.gguf.write import write_words

    wanted = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "words.gguf"
        write_words(path, candidate.fields)
        opened = open_gguf(path, words_only=True)
        try:
            wrong = sum(opened.tokenize_natively(text) != right.ids for text, right in zip(texts, wanted, strict=True))
        finally:
            opened.close()
    return Vocabulary(candidate.fields, candidate.own, len(texts), wrong, candidate.near)
