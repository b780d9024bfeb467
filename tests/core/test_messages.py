"""Every user message exists in both languages, with the same values in it."""

import ast
import string
from pathlib import Path

import pytest

from tunesmith import messages

SOURCE = Path(messages.__file__).parent


def templates() -> dict[str, str]:
    """English template -> where it stands. A message must be a literal, or the catalogue could not be checked."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr"
            if called and node.args and isinstance(node.args[0], ast.Constant):
                found[node.args[0].value] = f"{path.relative_to(SOURCE)}:{node.lineno}"
    return found


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_message_has_a_chinese_translation():
    chinese = messages.catalog("zh")
    missing = [f"{place}: {text}" for text, place in templates().items() if text not in chinese]
    assert missing == []


def test_translations_keep_the_values():
    wrong = [text for text, other in messages.catalog("zh").items() if "{" in text and fields(text) != fields(other)]
    assert wrong == []


@pytest.mark.parametrize(("locale", "expected"), [("zh_CN.UTF-8", "zh"), ("en_US.UTF-8", "en"), ("C", "en")])
def test_the_locale_decides(locale, expected, monkeypatch):
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", locale)
    messages.language.cache_clear()
    assert messages.language() == expected
    messages.language.cache_clear()
