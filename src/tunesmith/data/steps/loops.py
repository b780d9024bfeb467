"""Answers in which the model went round in circles."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.code import is_code, prose
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import answers, asked
from tunesmith.formats.inspect import HAN
from tunesmith.records import Conversation

TOKENS = re.compile(r"[\u3400-\u9fff]|[^\W\d_\u3400-\u9fff]+|\d+")
LETTERS = re.compile(r"[^\W\d_]")
WANTED = re.compile(
    r"(?i)\b(?:repeat\w*|times|lyrics|songs?|chorus|poems?|chants?|rhymes?|refrain|patterns?|loop\w*|sequence)\b|重复|遍|歌|诗|次"
)
PROBE = 16  # characters at the end whose last appearance before gives the period
ROUNDS = 4  # how often the end must have been said
RUN = 60  # letters that the run at the end must have
LEAST = 50  # tokens below which shares say nothing


@dataclass(frozen=True, slots=True)
class Loops(RowStep):
    """Let go of answers that repeat themselves: in n-grams all over, or in a run at the end.

    n        words in a run of words; in Chinese text, characters count as words and the run is twice as long
    share    the most of an answer's runs of n words that may have been said in it before

    Code, songs and poems may repeat, and so may answers to questions that ask for it.
    """

    n: int = 5
    share: float = 0.5

    REASONS: ClassVar = ("repeats itself", "ends in a loop")
    KINDS: ClassVar = ("conversation", "text")
    EXAMPLE: ClassVar = "loops: {share: 0.4}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        suspects = (answer for answer in answers(conversation) if len(answer) > RUN)
        yield next((found for answer in suspects if (found := self.judge(conversation, answer))), conversation)

    def judge(self, conversation: Conversation, answer: str) -> Reject | None:
        words = prose(answer)
        circle = run_at_end(words)
        share = repeated(words, self.n, self.share) if not circle else 0.0
        if not circle and share <= self.share:
            return None
        if WANTED.search(asked(conversation)) or is_code(answer):
            return None
        if circle:
            return Reject("ends in a loop", circle)
        return Reject("repeats itself", f"{share:.2f} > {self.share}")


def repeated(text: str, n: int, allowed: float) -> float:
    """The share of the n-grams of a text's words (2n of its characters, if Chinese) that came before in it.

    0 where the words alone tell that it is no more than allowed: each of them, but for the last few, begins a new one.
    """
    found = text.split() if text.isascii() else TOKENS.findall(text)
    tokens = [token for token in found if len(token) > 1 or token > "\u3400"]  # not the cells of a table
    n = 2 * n if HAN.search(text) else n
    if len(tokens) < max(LEAST, n):
        return 0.0
    runs = len(tokens) - n + 1
    if 1 - (len(set(tokens)) - n + 1) / runs <= allowed:
        return 0.0
    grams = list(zip(*(tokens[start:] for start in range(n)), strict=False))
    return 1 - len(set(grams)) / runs


def run_at_end(text: str) -> str:
    """What the end of a text says over and over; empty where it does not."""
    text = text.rstrip()
    probe = text[-PROBE:]
    before = text.rfind(probe, 0, len(text) - 1)
    if len(probe) < PROBE or before < 0:
        return ""
    period = len(text) - PROBE - before
    run = text[-ROUNDS * period :]
    if len(run) < ROUNDS * period or run[:-period] != run[period:]:
        return ""
    unit = text[-period:]
    if "|" in unit:  # the rows of a table
        return ""
    rounds = ROUNDS
    while text.endswith(unit, 0, len(text) - rounds * period):
        rounds += 1
    letters = sum(3 if letter > "\u3400" else 1 for letter in LETTERS.findall(unit))  # a Chinese one says more
    return unit if letters * rounds >= RUN else ""
