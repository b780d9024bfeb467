"""Write docs/*/steps.md from what the steps say of themselves: python docs/steps.py"""

import sys
from collections.abc import Callable
from pathlib import Path

from tunesmith.data import step
from tunesmith.data.told import Told, told
from tunesmith.messages import catalog

FOLDER = Path(__file__).resolve().parent
LANGUAGES = ("en", "zh")
HEAD = {
    "en": """# Steps of `data prepare`

`tunesmith data steps` lists them, `tunesmith data steps NAME` tells of one; this page says the same. How a recipe names
them is told in [prepare.md](prepare.md). A step judges conversations; which also judge comparisons (a prompt with a
chosen and a rejected answer) and plain texts is said at each. Others let such rows pass as they are, and the report
counts them; those that compare rows with each other refuse them.
""",
    "zh": """# `data prepare` 的步骤

`tunesmith data steps` 列出各步骤，`tunesmith data steps NAME` 说明其中一个；本页内容与之相同。配方中如何书写见
[prepare.md](prepare.md)。步骤判断对话；哪些步骤也能判断比较（一个提示配一个较好和一个较差的回答）和纯文本，在各步骤处说明。
其他步骤让这类数据原样通过，并在报告中计数；需要互相比较的步骤则拒绝它们。
""",
}
WORDS = {
    "en": (
        "| option | default | |",
        "Lets go of:",
        "Also judges:",
        {"comparison": "comparisons", "text": "texts"},
        ", ",
    ),
    "zh": ("| 选项 | 默认值 | |", "去掉：{}。", "也能判断：{}。", {"comparison": "比较", "text": "纯文本"}, "、"),
}


def page(language: str) -> str:
    """The page in Markdown, the steps in order of name."""
    known = catalog(language) if language != "en" else {}
    blocks = [section(name, language, lambda text: known.get(text, text)) for name in step.names()]
    return "\n".join([HEAD[language], *blocks])


def section(name: str, language: str, say: Callable[[str], str]) -> str:
    kind = step.kind(name)
    of = told(kind)
    _, reasons, judges, kinds, comma = WORDS[language]
    others = comma.join(kinds[one] for one in kind.KINDS if one != "conversation")
    parts = [
        f"## {name}",
        say(of.summary),
        table(of, language, say),
        *map(say, of.paragraphs),
        reasons.format(comma.join(map(say, of.reasons))) if of.reasons else "",
        judges.format(others) if others else "",
        f"```yaml\n- {of.example}\n```",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def table(of: Told, language: str, say: Callable[[str], str]) -> str:
    if not of.options:
        return ""
    rows = [f"| `{names}` | `{value}` | {say(text).replace('|', '&#124;')} |" for names, text, value in of.options]
    return "\n".join([WORDS[language][0], "|---|---|---|", *rows])


def main() -> int:
    for language in LANGUAGES:
        (FOLDER / language / "steps.md").write_text(page(language), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
