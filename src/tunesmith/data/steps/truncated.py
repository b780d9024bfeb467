"""Answers that stop in the middle."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.code import is_code, open_fence
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import answers
from tunesmith.records import Conversation

LIST_ITEM = re.compile(r"\s*(?://|[-*+•·|#>]|\(?[\divxa-zA-Z]{1,3}[.)、:]|第?[一二三四五六七八九十]+[、.章节])")
DANGLING = re.compile(  # words that no sentence ends with; "to", "in", "with", "that" may end one
    r"(?:[a-z,;]\s+)(?:the|a|an|and|or|but|of|because|although|whereas|its|their|your|my|our|every|than|if|whether)\Z"
)
COMMA = re.compile(r"\w[,，、]\Z")
CHINESE_DANGLING = re.compile(
    r"[\u3400-\u9fff](?:和|与|以及|并且|或者?|但是?|因为|所以|而且|比如|例如|的是|包括|通过|对于|关于|由于)\Z"
)
SENTENCE = re.compile(r"(?:(?<=\w\w)\.|[!?])[\"')\]]*\s+(?=[A-Z])|[。！？；]")
ENDS = (".", "!", "?", "。", "！", "？")
LEAST = 80  # bytes, about 15 words or 27 Chinese characters: a shorter answer may be half a sentence on purpose
PAUSE = re.compile(r"\w(?:, |，)\w")
SIGNED = re.compile(
    r"[#@=]|www\.|[\"”] ?[-–—] ?[A-Z]|\A[\W]*[-–—~]|\A(?:[A-Z]\S* ?)+\Z"
    r"|(?i:https?:|\A(?:sincerely|regards|love|best|yours))"
)
ENDED = re.compile(r"[.!?。！？…~～:：;；)）\]】}」』》>\"'”’*_`|%℃°$€£\d]\Z|[^\w\s,，、\-–—]\Z")


@dataclass(frozen=True, slots=True)
class Truncated(RowStep):
    """Let go of answers that were cut off: in a block of code, after a comma or "the", in the last of many sentences.

    sentences    how many ended sentences are needed before one without an end counts as cut off

    Lists, code, numbers, single words and answers in one sentence need no mark at their end.
    """

    sentences: int = 1

    REASONS: ClassVar = ("code block not closed", "cut off in a sentence")
    EXAMPLE: ClassVar = "truncated"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        found = (self.judge(answer.rstrip()) for answer in answers(conversation))
        yield next((reject for reject in found if reject), conversation)

    def judge(self, answer: str) -> Reject | None:
        if "```" in answer and open_fence(answer):
            return Reject("code block not closed", answer[-40:])
        if len(answer.encode("utf-8", "replace")) < LEAST or ENDED.search(answer[-3:]):
            return None
        last = answer.rpartition("\n")[2]
        cut = dangles(last) or (not LIST_ITEM.match(last) and unfinished(answer, last, self.sentences))
        return Reject("cut off in a sentence", last[-40:]) if cut and not is_code(answer) else None


def unfinished(answer: str, last: str, sentences: int) -> bool:
    """Whether the last line goes on after so many ended sentences and does not end one; a name or a tag need not.

    In a line with a comma, which is no heading, the sentences before count too, if the line before ended one.
    """
    *ended, rest = SENTENCE.split(last)
    before = answer.removesuffix(last).rstrip()
    if (
        not ended
        and before.endswith(ENDS)
        and PAUSE.search(last)
        and len(last.encode("utf-8", "replace")) >= LEAST // 2
    ):
        ended = SENTENCE.findall(answer)
    return len(ended) >= sentences and not SIGNED.search(rest)


def dangles(line: str) -> bool:
    """Whether a line ends in a word or mark that cannot end a sentence; a line of a poem or list may end in a comma."""
    if DANGLING.search(line) or CHINESE_DANGLING.search(line):
        return not LIST_ITEM.match(line) or len(line) > 60
    return COMMA.search(line) is not None and SENTENCE.search(line) is not None
