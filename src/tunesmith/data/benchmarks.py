"""Benchmark files as items with their words, and the search for what they share with a text."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunesmith.data.shingles import jaccard, known, rolling, sets, words
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Comparison, Conversation, Document, Message, Rated, Record, Refusal

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

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
        self.whole: dict[str, Item] = {}
        grams: dict[int, dict[tuple[str, ...], Item]] = defaultdict(dict)
        seen: Counter[tuple[str, ...]] = Counter()
        for item in items:
            said = words(item.text)
            size = min(n, len(said))
            if item.question:
                self.whole.setdefault(" ".join(said) or item.text.strip(), item)
            if size == n or (item.question and size >= SHORT):
                runs = set(zip(*(said[i:] for i in range(size)), strict=False))
                seen.update(runs)
                grams[size].update((gram, item) for gram in runs if gram not in grams[size])
        self.grams = {
            size: {gram: item for gram, item in found.items() if seen[gram] <= FRAME} for size, found in grams.items()
        }
        self.masks = {size: mask(list(found)) for size, found in self.grams.items()}
        self.questions = list(self.whole.values())
        self.sets = sets([item.text for item in self.questions], WORDS)
        self.holders: dict[int, list[int]] = defaultdict(list)
        for number, own in enumerate(self.sets):
            for shingle in own:
                self.holders[shingle].append(number)

    def inside(self, said: list[str]) -> Found | None:
        """The first n-gram of a text that an item has too, or a short item as a whole."""
        import numpy

        hashes = numpy.fromiter(map(known.__getitem__, said), numpy.uint64, len(said))
        for size, mask in self.masks.items():
            windows = rolling(hashes, size)
            for place in numpy.flatnonzero(mask[windows & numpy.uint64(len(mask) - 1)]).tolist():
                gram = tuple(said[place : place + size])
                if gram in self.grams[size]:
                    return Found(self.grams[size][gram], " ".join(gram))
        return None

    def same(self, said: list[str], text: str) -> Found | None:
        """The item whose question the text is."""
        item = self.whole.get(" ".join(said) or text.strip())
        return Found(item, whole=True) if item else None

    def near(self, text: str) -> Found | None:
        """The most similar question, where it is similar enough."""
        own = sets([text], WORDS)[0]
        met = Counter(number for shingle in own & self.holders.keys() for number in self.holders[shingle])
        close = ((jaccard(own, self.sets[number]), number) for number in met)
        similarity, number = max(close, default=(0.0, 0), key=lambda pair: (pair[0], -pair[1]))
        return Found(self.questions[number], similarity=similarity) if similarity >= self.threshold else None


def mask(grams: Sequence[tuple[str, ...]]) -> "NDArray[numpy.bool_]":
    """By the last bits of a hash, whether it may be one of these n-grams' (about one in 16 others may seem so)."""
    import numpy

    size = len(grams[0]) if grams else 1
    flat = numpy.fromiter((known[word] for gram in grams for word in gram), numpy.uint64, len(grams) * size)
    made = numpy.zeros(1 << (16 * len(grams)).bit_length(), bool)
    made[rolling(flat, size)[::size] & numpy.uint64(len(made) - 1)] = True
    return made
