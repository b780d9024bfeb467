"""Answers in another language than their question."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from tunesmith.data.code import is_code, prose
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.tongue import english_words, han
from tunesmith.data.words import asked
from tunesmith.formats.inspect import language
from tunesmith.records import Conversation, Message

NAMED = re.compile(  # a language is asked for, or is the matter
    r"(?i)translat|multilingual|bilingual|\blanguages?\b|pinyin|transliterat|\b(?:english|chinese|mandarin|cantonese"
    r"|spanish|french|german|italian|portuguese|russian|arabic|hindi|urdu|bengali|japanese|korean|latin|greek|hebrew"
    r"|dutch|swedish|danish|norwegian|finnish|polish|czech|turkish|thai|vietnamese|indonesian|malay|persian|ukrainian"
    r"|swahili|sanskrit)\b|翻译|译|英文|英语|中文|汉语|汉字|普通话|粤语|外语|语言|双语|拼音|法语|德语|日语|日文|韩语|俄语"
    r"|西班牙|葡萄牙|意大利|阿拉伯|拉丁|希腊|单词|词汇|缩写|歌词|句子|语法"
)
CHINESE = 12  # characters that make an answer Chinese
WORDS = 6  # everyday English words that make an answer English


@dataclass(frozen=True, slots=True)
class LanguageMatch(RowStep):
    """Let go of conversations in which an answer is Chinese and its question is not, or the other way round.

    Questions that speak of a language or a translation, and answers in code, formulas or a few names, match.
    """

    REASONS: ClassVar = ("answer in another language",)
    EXAMPLE: ClassVar = "language_match"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        pairs = ((ask, answer) for ask, answer in pairwise(conversation) if (ask.role, answer.role) == PAIR)
        wrong = next((answer for ask, answer in pairs if differ(ask, answer)), None)
        if wrong is None or NAMED.search(instructions(conversation)) or is_code(asked(conversation)):
            yield conversation
        else:
            yield Reject("answer in another language", wrong.text[:40])


PAIR = ("user", "assistant")


def differ(ask: Message, answer: Message) -> bool:
    """Whether one is Chinese and the other English (or, the answer being Chinese, in any other language)."""
    if answer.text.isascii() and ask.text.isascii():
        return False
    question, words = prose(ask.text), prose(answer.text)
    asked_in, answered_in = language(question), language(words)
    if answered_in == "zh" and asked_in in ("en", "other"):
        return han(words) >= CHINESE and not han(question)
    if asked_in == "zh" and answered_in == "en":
        return english_words(words) >= WORDS and not han(words) and not is_code(answer.text)
    return False


def instructions(conversation: Conversation) -> str:
    return "\n".join(message.text for message in conversation if message.role in ("system", "user"))
