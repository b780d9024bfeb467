"""What is in the data: counts, lengths, languages, duplicates and refusals, in one pass."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Literal

from tunesmith.formats.source import Source, sources
from tunesmith.records import Comparison, Document, Message, Rated, Record, Refusal

HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]+")
OTHER = re.compile(r"[^\W\d_]+")
SAMPLE = 2000  # characters of a record that tell its language
HAN_WEIGHT = 3  # a Chinese character says about as much as three letters
PERCENTILES = (5, 50, 95, 99)
DIGEST = 16  # bytes kept of each record to find duplicates
Language = Literal["en", "zh", "other", "none"]


@dataclass(slots=True)
class FileCount:
    """What one file gave."""

    file: str
    format: str
    kept: int = 0
    refused: int = 0


@dataclass(slots=True)
class Inspection:
    """What is known so far; numbers, not texts, so that memory grows by about 30 bytes a record."""

    files: list[FileCount] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    languages: Counter[str] = field(default_factory=Counter)
    characters: "array[int]" = field(default_factory=lambda: array("Q"))
    answers: "array[int]" = field(default_factory=lambda: array("Q"))
    messages: "array[int]" = field(default_factory=lambda: array("L"))
    digests: bytearray = field(default_factory=bytearray)

    @property
    def kept(self) -> int:
        return sum(file.kept for file in self.files)

    @property
    def refused(self) -> int:
        return sum(file.refused for file in self.files)

    @property
    def formats(self) -> dict[str, int]:
        """Format -> records kept, for all formats that were seen."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts[file.format] += file.kept
        return {name: count for name, count in counts.items() if name != "-" or len(counts) == 1}

    def add(self, record: Record) -> None:
        turns = list(spoken(record))
        words = "\n".join(text for _, text in turns)
        self.languages[language(words[:SAMPLE])] += 1
        self.characters.append(sum(len(text) for _, text in turns))
        self.answers.append(sum(len(text) for role, text in turns if role == "assistant"))
        self.messages.append(len(turns))
        self.digests += digest(turns)

    def to_json(self) -> dict[str, Any]:
        return {
            "read": self.kept + self.refused,
            "kept": self.kept,
            "refused": self.refused,
            "format": ", ".join(self.formats),
            "formats": self.formats,
            "files": [
                {"file": file.file, "format": file.format, "kept": file.kept, "refused": file.refused}
                for file in self.files
            ],
            "lengths": self.lengths(),
            "languages": dict(self.languages.most_common()),
            "duplicates": self.duplicates(),
            "refusals": [as_json(refusal) for refusal in self.refusals],
        }

    def lengths(self) -> dict[str, dict[str, float]]:
        """Characters of a record, characters of its answers, and messages: total, least, percentiles, most."""
        columns = (("characters", self.characters), ("answers", self.answers), ("messages", self.messages))
        return {name: statistics(values) for name, values in columns} if self.kept else {}

    def duplicates(self) -> int:
        """How many records repeat an earlier one, white space aside."""
        import numpy

        digests = numpy.frombuffer(bytes(self.digests), dtype=[("a", "<u8"), ("b", "<u8")])
        return len(digests) - len(numpy.unique(digests))


def inspect(
    paths: Sequence[str],
    format: str = "auto",
    reject: Callable[[Refusal], None] = lambda refusal: None,
    seen: Callable[[Source, int], None] = lambda source, count: None,
) -> Inspection:
    """Read all paths once. `reject` gets every refusal with its raw record; `seen` each source and its count so far."""
    found = Inspection()
    for source in sources(paths, format):
        count = FileCount(source.name, source.format)
        found.files.append(count)
        for record in source.records:
            if isinstance(record, Refusal):
                count.refused += 1
                reject(record)
                found.refusals.append(replace(record, raw=""))
            else:
                count.kept += 1
                found.add(record)
            seen(source, count.kept + count.refused)
    return found


def spoken(record: Record) -> Iterator[tuple[str, str]]:
    """(role, all that the turn says) in order; a document is one turn."""
    if isinstance(record, Document):
        yield "document", record.text
    elif isinstance(record, Comparison):
        yield from map(turn, (*record.prompt, *record.chosen, *record.rejected))
    else:
        yield from map(turn, record.conversation if isinstance(record, Rated) else record)


def turn(message: Message) -> tuple[str, str]:
    words = [message.thinking] if message.thinking else []
    words += [part.text or part.source for part in message.parts]
    words += [f"{call.name} {call.arguments}" for call in message.tool_calls]
    return message.role, "\n\n".join(words)


def language(words: str) -> Language:
    """English (any Latin script), Chinese or other, by the share of their letters."""
    if words.isascii():
        return "en" if LATIN.search(words) else "none"
    han, latin, letters = (sum(map(len, pattern.findall(words))) for pattern in (HAN, LATIN, OTHER))
    shares: dict[Language, int] = {"zh": HAN_WEIGHT * han, "en": latin, "other": HAN_WEIGHT * (letters - han - latin)}
    if not letters:
        return "none"
    return max(shares, key=lambda name: shares[name])


def digest(turns: Sequence[tuple[str, str]]) -> bytes:
    """A hash of who says what, with runs of white space as one space."""
    words = "\x1e".join(f"{role}\x1f{' '.join(text.split())}" for role, text in turns)
    return blake2b(words.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


def statistics(values: "array[int]") -> dict[str, float]:
    import numpy

    given = numpy.frombuffer(values, dtype=f"u{values.itemsize}")
    quantiles = {
        f"p{percent}": int(value)
        for percent, value in zip(PERCENTILES, numpy.percentile(given, PERCENTILES, method="nearest"), strict=True)
    }
    ends = {"total": int(given.sum()), "mean": round(float(given.mean()), 1), "min": int(given.min())}
    return {**ends, **quantiles, "max": int(given.max())}


def as_json(refusal: Refusal) -> dict[str, Any]:
    return {
        "file": refusal.origin.file,
        "line": refusal.origin.line,
        "field": refusal.field,
        "reason": refusal.reason,
        "cure": refusal.cure,
    }
