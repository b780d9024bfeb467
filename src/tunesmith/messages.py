"""User messages in English and Simplified Chinese.

Code writes English: tr("{path} is empty", path=path). The Chinese text is looked up by the English
template in locale/zh/*.json; the user's locale (LC_ALL, LC_MESSAGES, LANG) decides which one is shown.
"""

import json
import os
from functools import cache
from importlib import resources


@cache
def language() -> str:
    """ "zh" under a Chinese locale, else "en"."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def catalog(lang: str) -> dict[str, str]:
    """English template -> translated template, gathered from all files of one language."""
    folder = resources.files("tunesmith") / "locale" / lang
    if not folder.is_dir():
        return {}
    merged: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".json"):
            merged |= json.loads(file.read_text(encoding="utf-8"))
    return merged


def tr(template: str, **values: object) -> str:
    """The message in the user's language, with its values filled in."""
    lang = language()
    text = template if lang == "en" else catalog(lang).get(template, template)
    return text.format(**values) if values else text
