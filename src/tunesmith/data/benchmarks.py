"""Benchmark files as items with their words, and the search for what they share with a text."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.data.shingles import jaccard, padded, rolling, words
from tunesmith.data.wordhash import hashed
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Comparison, Conversation, Document, Message, Rated, Record, Refusal

Gram = tuple[str, ...]
QUESTIONS = ("question", "prompt", "query", "instruction", "problem", "input")
SHORT = 8  # words: an item of fewer is not looked for inside a text, only as the whole of a turn
FRAME = 10  # items that share an n-gram: more make it the benchmark's own phrasing, not a question's
WORDS = 5  # in the n-grams of Jaccard similarity


@dataclass(frozen=True, slots=True)
class Item:
    """A text of a benchmark. `question` is what is asked; any other text only lends its n-grams."""

    place: str
    text: str
    question: bool


def items(paths: Sequence[str]) -> Iterator[Item]:
    """All texts of the files. Rows that fit no format, as tables of multiple choice, give all that they say."""
    from tunesmith.formats import read

    for path in paths:
        found = [item for record in read([path]) for item in texts(record)]
        if not found:
            raise UserError(tr("{path} holds no words", path=path), tr("give a benchmark's file of questions"))
        yield from found


def texts(record: Record | Refusal) -> Iterator[Item]:
    place = str(record.origin)
    if isinstance(record, Refusal):
        yield from fields(record)
    elif isinstance(record, Document):
        yield Item(place, record.text, True)
    else:
        for message in spoken(record):
            yield Item(place, message.text, message.role == "user")


def spoken(record: Conversation | Comparison | Rated) -> tuple[Message, ...]:
    """What is asked and answered; what a system prompt says is no question's own."""
    if isinstance(record, Rated):
        record = record.conversation
    given = record.prompt + record.chosen if isinstance(record, Comparison) else record.messages
    return tuple(message for message in given if message.role != "system")


def fields(refusal: Refusal) -> Iterator[Item]:
    """The question of a raw row, and all of its text together."""
    try:
        value: Any = json.loads(refusal.raw)
    except ValueError:
        return
    said = (
        {str(key).lower(): text for key, text in value.items() if isinstance(text, str)}
        if isinstance(value, dict)
        else {}
    )
    if said:
        question = next((said[key] for key in QUESTIONS if key in said), max(said.values(), key=len))
        yield Item(str(refusal.origin), question, True)
        yield Item(str(refusal.origin), "\n".join(said.values()), False)


@dataclass(frozen=True, slots=True)
class Found:
    """What a text shares with an item: an n-gram, the whole item, or `similarity` of its n-grams."""

    item: Item
    shared: str = ""
    whole: bool = False
    similarity: float = 0.0


class Index:
    """Benchmark items by their n-grams; `n` words each, a Chinese character being a word."""

    def __init__(self, items: Sequence[Item], n: int, threshold: float) -> None:
        self.n, self.threshold = n, threshold
        self.items = items
        self.words = [words(item.text) for item in items]
        self.whole: dict[str, Item] = {}
        for item, said in zip(items, self.words, strict=True):
            if item.question:
                self.whole.setdefault(" ".join(said) or item.text.strip(), item)
        self.runs = Runs(items, self.words, n)
        self.questions = list(self.whole.values())
        self.sets = [grams(words(item.text), item.text) for item in self.questions]
        self.holders: dict[Gram, list[int]] = defaultdict(list)
        for number, own in enumerate(self.sets):
            for shingle in own:
                self.holders[shingle].append(number)

    def inside(self, said: list[str]) -> Found | None:
        """An n-gram of the text that an item has too, or a short item as a whole."""
        for place, number, start in self.runs.meetings(said):
            shared = said[place : place + min(self.n, len(self.words[number]))]
            if shared == self.words[number][start : start + self.n]:
                return Found(self.items[number], " ".join(shared))
        return None

    def same(self, said: list[str], text: str) -> Found | None:
        """The item whose question the text is."""
        item = self.whole.get(" ".join(said) or text.strip())
        return Found(item, whole=True) if item else None

    def near(self, said: list[str], text: str) -> Found | None:
        """The most similar question, where it is similar enough."""
        own = grams(said, text)
        met = Counter(number for shingle in own & self.holders.keys() for number in self.holders[shingle])
        close = ((jaccard(own, self.sets[number]), number) for number in met)
        similarity, number = max(close, default=(0.0, 0), key=lambda pair: (pair[0], -pair[1]))
        return Found(self.questions[number], similarity=similarity) if similarity >= self.threshold else None


def grams(said: list[str], text: str) -> frozenset[Gram]:
    """The n-grams of a question, as `shingles` has them."""
    filled = padded(said or [text], WORDS)
    return frozenset(zip(*(filled[i:] for i in range(WORDS)), strict=False))


class Runs:
    """Where in items each run of n words starts, found by the first few of them; a short question is a run itself.

    Runs that more than FRAME items have are left out. Memory: 16 bytes a run.
    """

    def __init__(self, items: Sequence[Item], said: Sequence[list[str]], n: int) -> None:
        import numpy

        self.size = min(SHORT, n)
        keys, owners, starts, whole = [], [], [], []
        for number, (item, own) in enumerate(zip(items, said, strict=True)):
            if len(own) < (self.size if item.question else n):
                continue
            hashes = hashed(own)
            distinct, places = numpy.unique(rolling(hashes, min(n, len(own))), return_index=True)
            whole.append(distinct)
            keys.append(rolling(hashes, self.size)[places])
            owners.append(numpy.full(len(places), number, numpy.int32))
            starts.append(places.astype(numpy.int32))
        every = numpy.concatenate([numpy.zeros(0, numpy.uint64), *keys])
        _, back, counts = numpy.unique(numpy.concatenate([every[:0], *whole]), return_inverse=True, return_counts=True)
        used = numpy.flatnonzero(counts[back] <= FRAME)
        order = used[numpy.argsort(every[used], kind="stable")]
        self.keys = every[order]
        self.owners = numpy.concatenate([numpy.zeros(0, numpy.int32), *owners])[order]
        self.starts = numpy.concatenate([numpy.zeros(0, numpy.int32), *starts])[order]
        self.bits = numpy.uint64((1 << (16 * len(order)).bit_length()) - 1)
        self.mask = numpy.zeros(int(self.bits) + 1, bool)  # by the last bits of a key; one in 16 others may seem one
        self.mask[self.keys & self.bits] = True

    def meetings(self, said: list[str]) -> Iterator[tuple[int, int, int]]:
        """(place in the text, item, place in the item) wherever the first words of a run may stand."""
        if len(said) < self.size:
            return
        keys = rolling(hashed(said), self.size)
        for place in self.mask[keys & self.bits].nonzero()[0].tolist():
            low, high = self.keys.searchsorted(keys[place]), self.keys.searchsorted(keys[place], side="right")
            for entry in range(low, high):
                yield place, int(self.owners[entry]), int(self.starts[entry])
