"""Tokenizing with a table of words: what a tokenizer split off before is looked up, not tokenized again.

Many tokenizers first split a text into words by a regular expression, and then see one word at a time. Where that is
so we split in their place, by the same expression in another engine. Two engines read an expression alike if they
sort each character alike (letter, number, white space, …); that is asked of the tokenizer itself, for every character
that comes up, and a text with one on which they differ is left to the tokenizer. Most texts are ASCII; for
those the standard library's engine is twice as fast, where it gives the same words around every such character.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import regex

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"  # ByteLevel's own
PROBE = "a{0}aA{0}A1{0}1.{0}. {0} {0}{0}\n{0}\r{0}'{0}s"  # a character among those of other classes
MOST = 1 << 18  # words that are kept, some tens of MB
ASCII = "".join(map(chr, range(128)))
CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9"}  # their part of ASCII
PARTS = re.compile(r"\[(?:\\.|[^\]\\])*\]|\\[pP]\{\w+\}|\\.", re.DOTALL)  # sets, classes, and what stands for itself
SETS = re.compile(r"\\[pPX]|\[[^\]]*(?:\[|&&|--|~~|\|\|)")  # what the standard library reads otherwise

Split = Callable[[str], list[str]]


@dataclass(slots=True)
class WordTable:
    """Ids of words met before, and how many they are.

    split   the words of a text, one after the other      quick  the same, of an ASCII text
    alike   characters that both engines sort alike      other  those that they do not
    """

    tokenizer: "Tokenizer"
    split: Split
    quick: Split
    ids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    alike: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        probes = list(map(PROBE.format, ASCII))
        if list(map(self.quick, probes)) != list(map(self.split, probes)):
            self.quick = self.split
        self._learn_characters(set(ASCII))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The same ids as `tokenizer.encode`, for texts that hold no added token and no guard."""
        words = self._cut(texts)
        if fresh := unknown(words, self.ids):
            self.ids.update(zip(fresh, encode_apart(self.tokenizer, fresh), strict=True))
        return [list(chain.from_iterable(map(self.ids.__getitem__, found))) for found in words]

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many ids each text has, if it holds no added token."""
        words = self._cut(texts)
        if fresh := unknown(words, self.counts):
            self.counts.update(zip(fresh, count_apart(self.tokenizer, fresh), strict=True))
        return [sum(map(self.counts.__getitem__, found)) for found in words]

    def _cut(self, texts: Sequence[str]) -> list[list[str]]:
        self._learn_characters(set().union(*(text for text in texts if not text.isascii())))
        return [self._words(text) for text in texts]

    def _words(self, text: str) -> list[str]:
        """The words of the text; the text as one where the tokenizer might split it otherwise, or normalize it."""
        if self.other and not self.other.isdisjoint(text):
            return [text]
        if text.isascii():
            words = self.quick(text)
        elif unicodedata.is_normalized("NFC", text):
            words = self.split(text)
        else:
            return [text]
        return words if sum(map(len, words)) == len(text) else [text]  # what no word takes is not ours to cut

    def _learn_characters(self, found: set[str]) -> None:
        for character in found - self.alike - self.other:
            (self.alike if self._splits_alike(PROBE.format(character)) else self.other).add(character)

    def _splits_alike(self, text: str) -> bool:
        normalizer, splitter = self.tokenizer.normalizer, self.tokenizer.pre_tokenizer
        if normalizer and normalizer.normalize_str(text) != text:
            return False
        theirs = [text[start:end] for _, (start, end) in splitter.pre_tokenize_str(text)]
        return self.split(text) == theirs


def unknown(words: Sequence[Sequence[str]], known: dict[str, Any]) -> list[str]:
    """The words that the table lacks; it begins anew where it has too many."""
    if len(known) > MOST:
        known.clear()
    return list(set(chain.from_iterable(words)).difference(known))


def encode_apart(tokenizer: "Tokenizer", words: Sequence[str]) -> list[tuple[int, ...]]:
    """Ids of each word; in one text of many words they come faster than as many texts."""
    found = tokenizer.encode(list(words), is_pretokenized=True, add_special_tokens=False)
    ids: list[tuple[int, ...]] = [()] * len(words)
    for number, group in groupby(zip(found.word_ids, found.ids, strict=True), itemgetter(0)):
        ids[number] = tuple(index for _, index in group)
    return ids


def count_apart(tokenizer: "Tokenizer", words: Sequence[str]) -> list[int]:
    """How many ids each word has."""
    found = Counter(tokenizer.encode(list(words), is_pretokenized=True, add_special_tokens=False).word_ids)
    return [found[number] for number in range(len(words))]


def learn_words(tokenizer: "Tokenizer", steps: Sequence[dict[str, Any]]) -> WordTable | None:
    """A table for a tokenizer whose pre-tokenizer has these steps; None where words cannot be told apart."""
    pattern = pattern_of(steps)
    if not pattern or not keeps_composed(tokenizer.normalizer) or getattr(tokenizer.model, "dropout", None):
        return None
    try:
        found = regex.compile(pattern)
    except regex.error:
        return None
    if found.groups:
        return None  # findall would give the groups, not the words
    quick = for_ascii(pattern)
    return WordTable(tokenizer, found.findall, quick.findall if quick else found.findall)


def for_ascii(pattern: str) -> re.Pattern[str] | None:
    """The expression for texts of ASCII in the standard library's engine; None where that cannot say it."""
    written = PARTS.sub(lambda part: for_ascii_part(part[0]), pattern)
    if SETS.search(written):
        return None
    try:
        return re.compile(written, re.ASCII)
    except re.error:
        return None


def for_ascii_part(part: str) -> str:
    """ "[^\\p{L}]" -> "[^A-Za-z]", and "\\p{N}" -> "[0-9]"."""
    if part in CLASSES:
        return f"[{CLASSES[part]}]"
    for name, letters in CLASSES.items():
        part = part.replace(name, letters)
    return part


def keeps_composed(normalizer: Any) -> bool:
    return normalizer is None or type(normalizer).__name__ == "NFC"


def pattern_of(steps: Sequence[dict[str, Any]]) -> str:
    """The expression by which texts are split into words; empty where they are split otherwise."""
    *before, last = steps or [{}]
    if last.get("type") != "ByteLevel" or last["add_prefix_space"]:
        return ""
    if not before:
        return GPT2 if last["use_regex"] else ""
    first = before[0]
    if len(before) > 1 or last["use_regex"] or first["type"] != "Split" or first["behavior"] != "Isolated":
        return ""
    return "" if first["invert"] else str(first.get("pattern", {}).get("Regex") or "")
