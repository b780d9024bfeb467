"""Words by which a recipe knows conversations that it does not want."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.records import Conversation, Role


@dataclass(frozen=True, slots=True)
class ForbiddenWords(RowStep):
    """Let go of conversations in which certain words occur, capitals aside.

    words    whole words or phrases; Chinese ones wherever their characters stand
    roles    whose turns are searched: system, user, assistant, tool

    Vicuna's list is openai, chatgpt in all turns; Self-Instruct's for questions begins with image, graph, picture.
    """

    words: tuple[str, ...] = ("openai", "chatgpt")
    roles: tuple[Role, ...] = ("user", "assistant")

    REASONS: ClassVar = ("forbidden word",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "forbidden_words: {words: [image, graph, 图片], roles: [user]}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        pattern = any_of(self.words)
        texts = (message.text for message in conversation if message.role in self.roles)
        found = next((match for text in texts if (match := pattern.search(text))), None)
        yield Reject("forbidden word", found.group()) if found else conversation


@cache
def any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Matches any of the words, no letter of their own script before or after; nothing where there are none."""
    bounded = (re.escape(word) if word > "\u3400" else rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])" for word in words)
    return re.compile("|".join(bounded) or r"(?!)", re.IGNORECASE)
