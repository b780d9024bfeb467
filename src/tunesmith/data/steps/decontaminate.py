"""Questions that a benchmark asks must not be learnt."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.benchmarks import Found, Index, items
from tunesmith.data.compared import check, content
from tunesmith.data.kinds import kind
from tunesmith.data.shingles import words
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation


@dataclass(frozen=True, slots=True)
class Decontaminate(RowStep):
    """Let go of conversations that hold items of benchmarks, or come close to them.

    benchmarks    files, folders or hub ids of what the model will be tested on, in any format that can be read
    words         a row that shares so many words in a row with an item is let go; a Chinese character is a word
    threshold     the least Jaccard similarity of a question with an item, over n-grams of 5 words

    An item of 8 words or more, but fewer than `words`, must stand in the row whole; a shorter one must be all of a
    turn. An n-gram of more than 10 items is the benchmark's phrasing, and counts for none.
    """

    benchmarks: tuple[str, ...] = ()
    words: int = 13
    threshold: float = 0.7

    REASONS: ClassVar = (
        "shares words with a benchmark",
        "is an item of a benchmark",
        "close to an item of a benchmark",
    )
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "decontaminate: {benchmarks: [gsm8k/test.jsonl, HumanEval.jsonl.gz]}"

    def __post_init__(self) -> None:
        check("decontaminate.threshold", self.threshold)

    def __call__(self, conversation: Conversation) -> Iterable[Outcome]:
        return self.ready()(conversation)

    def ready(self) -> Callable[[Conversation], Iterable[Outcome]]:
        """Reads the benchmarks. Raises UserError where there is none, or one that cannot be read."""
        if not self.benchmarks:
            raise UserError(
                tr("decontaminate names no benchmarks"), tr("give their files: {example}", example=self.EXAMPLE)
            )
        index = Index(list(items(self.benchmarks)), self.words, self.threshold)

        def judge(conversation: Conversation) -> Iterator[Outcome]:
            found = search(index, conversation)
            yield told(found) if found else conversation

        return judge


def search(index: Index, conversation: Conversation) -> Found | None:
    """What the conversation shares with an item, if anything: the surest signs are looked for first."""
    texts = [content(message) for message in conversation]
    split = [words(text) for text in texts]
    plain = kind(conversation) == "text"
    asked = [i for i, message in enumerate(conversation) if message.role == "user" or plain]
    for i in asked:
        if found := index.same(split[i], texts[i]):
            return found
    if found := index.inside([word for said in split for word in (*said, "")]):
        return found
    close = (index.near(split[i], texts[i]) for i in asked)
    return next(filter(None, close), None)


def told(found: Found) -> Reject:
    """The reason, the item's place and what is shared."""
    if found.whole:
        return Reject(Decontaminate.REASONS[1], f"{found.item.place}: {found.item.text[:200]}")
    if found.shared:
        return Reject(Decontaminate.REASONS[0], f"{found.item.place}: {found.shared}")
    return Reject(
        Decontaminate.REASONS[2], f"{found.item.place}, Jaccard {found.similarity:.3f}: {found.item.text[:200]}"
    )
