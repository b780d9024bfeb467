"""Web pages' markup, written as Markdown."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from tunesmith.data.code import CODE, prose
from tunesmith.data.extra import extra
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.words import edited, said
from tunesmith.messages import tr
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

FORMATTING = (
    "p|div|span|br|hr|b|strong|i|em|u|ol|ul|li|h[1-6]|pre|code|table|thead|tbody|tr|td|th|blockquote|a|button|sup|sub"
)
TAG = re.compile(
    rf"<(?:/?(?:{FORMATTING})|(?:p|div|span|ol|ul|li|pre|code|table|td|th|a|button|br|hr)\s[^<>]*?)\s*/?>", re.I
)
NO_TAG = re.compile(rf"<(?!/?(?:{FORMATTING})(?:\s[^<>]*)?/?>)", re.I)
ESCAPED_TAG = re.compile(rf"&lt;(?=/?(?:{FORMATTING})\b)", re.I)
CLOSED = re.compile(r"</(?:p|div|ol|ul|li|pre|table|h[1-6]|blockquote|strong|em|b|i|code|span|a)>|<br ?/?>", re.I)
PAGE = re.compile(  # markup that is the matter itself: a page, a form, a script, a task about tags
    r"<(?:!doctype|html|head|body|script|style|form|input|select|svg|canvas|img|meta|link|nav|footer|header|section|\?php"
    r"|\?xml|main|article|label|textarea|iframe)\b|\b(?:x?html|xml|css|tags?|web ?pages?|websites?|markup"
    r"|javascript|jsx|react|vue|php|jsp|xpath|selector|svg|bbcode|mask)\b|网页|网站|标签|前端|超文本",
    re.I,
)
BLOCK = re.compile(r"<pre\b.*?</pre>", re.I | re.S)
STYLED = re.compile(r"<\w+\s[^<>]*\bstyle=", re.I)  # markup that was asked for: no copied answer is styled
HELD = "\ue000{}\ue001"  # stands for a piece of code while the markup around it is read
PLACE = re.compile("\ue000(\\d+)\ue001")
COUNTER = re.compile(r"\A\s*\d+ / \d+\s*\n")  # "1 / 2", before an answer that was generated anew
LANGUAGE = re.compile(r"\blanguage-([\w+#-]+)")


@dataclass(frozen=True, slots=True)
class HtmlToMarkdown(RowStep):
    """Write HTML as Markdown where a text was taken from a web page, as Vicuna's makers did with ShareGPT.

    Code keeps its text and its language; conversations about HTML or with a whole page in them stay as they are.
    """

    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "html_to_markdown"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        words = said(conversation)
        about = "<" not in words or not TAG.search(words) or STYLED.search(words) or PAGE.search(prose(bare(words)))
        yield conversation if about else edited(conversation, markdown)


def bare(text: str) -> str:
    """The text with bare tags, so that the class of a copied code block does not pass for a subject."""
    return TAG.sub(" ", BLOCK.sub(" ", text))


def markdown(text: str) -> str:
    """The text as Markdown; itself where it holds no pair of tags, or where nothing would be left."""
    words = prose(text)
    if "<" not in words or not CLOSED.search(words) or "\ue000" in text:
        return text
    pieces = CODE.split(text)
    held = pieces[1::2]
    page = "".join(HELD.format(place // 2) if place % 2 else piece for place, piece in enumerate(pieces))
    page = ESCAPED_TAG.sub("&amp;lt;", NO_TAG.sub("&lt;", page))
    written = COUNTER.sub("", write(page))
    return PLACE.sub(lambda found: held[int(found.group(1))], written).strip() or text


def write(page: str) -> str:
    converter, soup = tools()
    tree = soup(page, "html.parser")
    for block in tree.find_all("pre"):
        plain_block(tree, block)
    for button in tree.find_all("button"):
        button.decompose()
    return re.sub(r"\n{3,}", "\n\n", str(converter.convert_soup(tree)))


def plain_block(tree: "BeautifulSoup", block: Any) -> None:
    """Leave of a copied block only its code and the name of its language; heading and copy button go."""
    code = block.find("code") or block
    name = LANGUAGE.search(" ".join(code.get("class") or ()))
    fresh = tree.new_tag("pre", attrs={"class": name.group(1)} if name else {})
    fresh.string = code.get_text()
    block.replace_with(fresh)


@cache
def tools() -> tuple[Any, Any]:
    """(markdownify's converter, the parser it comes with)"""
    purpose = tr("Writing HTML as Markdown")
    converter = extra("markdownify", "markdownify", purpose).MarkdownConverter(
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        heading_style="atx",
        bullets="-",
        code_language_callback=lambda block: (block.get("class") or [""])[0],
    )
    tidied = converter.process_text

    def process_text(text: Any, parent_tags: Any = None) -> str:
        """Text outside all tags stays as it was written, line breaks and indents included."""
        return str(text) if text.parent.name == "[document]" else str(tidied(text, parent_tags))

    converter.process_text = process_text
    return converter, extra("bs4", "markdownify", purpose).BeautifulSoup
