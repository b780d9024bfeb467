"""Simplified and traditional characters, made one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

from tunesmith.data.code import outside_code
from tunesmith.data.extra import extra
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.words import edited, said
from tunesmith.formats.inspect import HAN
from tunesmith.messages import tr
from tunesmith.records import Conversation

Script = Literal["simplified", "traditional"]
TABLES: dict[Script, str] = {"simplified": "t2s", "traditional": "s2t"}
ABOUT_SCRIPT = re.compile("简体|簡體|繁体|繁體|正体字|正體字|[Ss]implified Chinese|[Tt]raditional Chinese")


@dataclass(frozen=True, slots=True)
class ChineseScript(RowStep):
    """Write all Chinese in simplified or in traditional characters, choosing among several by the word they stand in.

    to    simplified, traditional

    Code stays, and so do conversations that are about the two scripts, such as tasks to convert one to the other.
    """

    to: Script = "simplified"

    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "chinese_script: {to: simplified}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        words = said(conversation)
        if not HAN.search(words) or ABOUT_SCRIPT.search(words):
            yield conversation
        else:
            yield edited(conversation, lambda text: outside_code(text, converter(TABLES[self.to]).convert))


@cache
def converter(table: str) -> Any:
    return extra("opencc", "opencc", tr("Converting Chinese characters")).OpenCC(table)
