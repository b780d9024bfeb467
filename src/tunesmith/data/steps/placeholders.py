"""Blanks that nobody filled in, and questions about something that is not there."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from tunesmith.data.phrases import phrases
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import answers, asked, edited, said
from tunesmith.records import Conversation, Message

NOTHING = re.compile(r"\A[\s<\[(]*(?:no[ _]?input|nan|n/?a|null|无输入|没有输入|无)[\s>\]).。]*\Z", re.IGNORECASE)
NO_INPUT = re.compile(
    r"(?:\n+(?:input|输入) ?[:：]\s*[<\[(]?(?:no[ _]?input|nan|n/?a|null|无输入|无)[>\])]?[.。]?\s*)+\Z", re.IGNORECASE
)
NO_OUTPUT = re.compile(
    r"\A(?:\s*<no[ _]?output>|[\s<\[(]*(?:no[ _]?(?:in|out)put|nan|n/?a|null|无输出|无输入)[\s>\]).。]*\Z)", re.I
)
STRAY = re.compile(r"\A\s*<no ?input>\s+(?=\S)", re.IGNORECASE)
BLANK = re.compile(
    r"\[(?:insert|paste|enter|attach|add|put)\b[^\]\n]{0,60}\]|<(?:insert|paste|enter|attach)\b[^>\n]{0,60}>"
    r"|<(?:input|text)>(?![^<]*</)|<[a-z ]{0,20}\battached>|[\[【](?:插入|粘贴|填入|请输入|在此)[^\]】\n]{0,40}[\]】]",
    re.IGNORECASE,
)
FORM = re.compile(  # where blanks for the reader are what is wanted
    r"(?i)\b(?:templates?|letters?|e-?mails?|forms?|messages?|notes?|scripts?|placeholders?|blanks?|invitations?|cvs?"
    r"|resumes?|contracts?|agreements?|speech(?:es)?|introduc\w+|cards?|posts?|reply|replies|response|html|codes?)\b"
    r"|模板|邮件|信|表格|合同|协议|简历|演讲|自我介绍|请柬|通知|填空|代码"
)
MEDIA = re.compile(
    r"(?i)\b(?:this|attached|following|given|above|below|provided) (?:image|picture|photo(?:graph)?|screenshot|video"
    r"|audio(?: clip| file)?)s?\b(?!-| of | description)"
    r"|(?:这[张幅]|下面的?|以下|上面的?|给定的?|附带的?|所附的?)(?:图片|图像|照片|截图|视频|音频)"
    r"|(?:看|如|下|上)图(?:所示|中|，|,)|附件中"
)
TEXT = re.compile(
    r"(?i)\b(?:the|these|this) (?:following|given|below|provided|attached) (?:[a-z]+ )?(?:text|sentences?|paragraphs?"
    r"|passages?|articles?|stor(?:y|ies)|poems?|essays?|e-?mails?|documents?|excerpts?|quotes?|tweets?|reviews?)\b"
    r"(?! (?:structure|pattern|type|style|prompt)s?\b)"
    r"|\b(?:text|sentence|paragraph|passage|article|story|poem|essay|email|document|excerpt|quote|tweet|review) below\b"
    r"|(?:(?<![字\d个])以下|下列|下面|给定|所给)的?(?:这?[一两几三]?[个段篇首则])?的?(?:句子|文本|文章|段落|文字|短文|新闻|故事|诗歌?|代码|对话|陈述)"
)
PROGRAM = re.compile(
    r"(?i)\b(?:function|program|code|algorithm|script|method|class|model|regex|query)\b|函数|程序|算法|代码|编写"
)
BRACKETS = "[<【"
# What a text must hold, in small letters, for MEDIA or TEXT to match: looking for it first is several times as fast.
MEDIA_WORDS = ("image", "picture", "photo", "screenshot", "video", "audio", "图", "照片", "视频", "音频", "附件")
TEXT_WORDS = ("following", "given", "below", "provided", "attached", "以下", "下列", "下面", "给定", "所给")
GIVEN = 40  # characters after the mention that may well be the thing itself
LOOKS_GIVEN = re.compile(r"[:\uff1a\"\u201c\u300c\u300a\n]|'\w+ \w+|[.!?]\s+\S|[。！？;；]\s*\S")  # or two sentences


@dataclass(frozen=True, slots=True)
class Placeholders(RowStep):
    """Take out inputs such as "<noinput>"; let go of blanks not filled in and of questions that lack their text.

    Letters, forms and templates may have blanks. An answer that asks for the missing text is let go too.
    """

    REASONS: ClassVar = ("blank not filled in", "answer is a placeholder", "input missing", "image missing")
    EXAMPLE: ClassVar = "placeholders"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        conversation = without_nothing(conversation)
        reject = blank(conversation) or missing(conversation)
        yield reject or conversation


def without_nothing(conversation: Conversation) -> Conversation:
    """Without the inputs that say that there is none, and without such a mark before an answer."""
    conversation = edited(conversation, lambda text: NO_INPUT.sub("", text) or text, ("user",))
    conversation = edited(conversation, lambda text: STRAY.sub("", text), ("assistant",))
    messages = tuple(spare(message) if message.role == "user" else message for message in conversation)
    same = messages == conversation.messages
    return conversation if same else replace(conversation, messages=messages)


def spare(message: Message) -> Message:
    """The message without parts, after the first, that say that there is no input."""
    first, *others = message.parts
    kept = tuple(part for part in others if part.kind != "text" or not NOTHING.match(part.text))
    return message if len(kept) == len(others) else replace(message, parts=(first, *kept))


def blank(conversation: Conversation) -> Reject | None:
    for answer in answers(conversation):
        if NO_OUTPUT.match(answer):
            return Reject("answer is a placeholder", answer.strip()[:40])
    words = said(conversation)
    found = BLANK.search(words) if any(bracket in words for bracket in BRACKETS) else None
    if found and words.count(found.group()) == 1 and not FORM.search(asked(conversation)):
        return Reject("blank not filled in", found.group())
    return None


def missing(conversation: Conversation) -> Reject | None:
    first = next((message for message in conversation if message.role == "user"), None)
    answer = next(answers(conversation), "").lstrip()
    if asking := phrases("missing_input.en", "missing_input.zh").at_start(answer):
        return Reject("input missing", asking)
    if first is None or len(first.parts) > 1:
        return None
    lowered = first.text.lower()
    if holds(lowered, MEDIA_WORDS) and (found := MEDIA.search(first.text)) and not given(first.text, found):
        return Reject("image missing", found.group())
    if holds(lowered, TEXT_WORDS) and (found := TEXT.search(first.text)) and not given(first.text, found):
        return None if PROGRAM.search(first.text) else Reject("input missing", found.group())
    return None


def holds(text: str, words: Iterable[str]) -> bool:
    return any(word in text for word in words)


def given(text: str, mention: re.Match[str]) -> bool:
    """Whether the text mentioned seems to stand in the question itself."""
    rest = text[mention.end() :].strip()
    return len(rest) > GIVEN or LOOKS_GIVEN.search(text.strip().rstrip(":：")) is not None
