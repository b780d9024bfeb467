"""Tool calls in an answer: how a template writes them, learnt by trying it, and reading them back.

Only calls that stand as JSON objects between two marks can be told apart from words (Qwen, Hermes and their kin);
a template that writes them in another way is not offered tools.
"""

import json
import re
import secrets
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from tunesmith.errors import UserError
from tunesmith.records import Message, ToolCall, text_message
from tunesmith.text.dialect import Dialect
from tunesmith.text.template import Template

NAME, KEY, VALUE = "xtoolx", "xkeyx", "xvaluex"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "x",
        "parameters": {"type": "object", "properties": {KEY: {"type": "string"}}},
    },
}
MARK = re.compile(r"[^\s{}]+")


@dataclass(frozen=True, slots=True)
class ToolForm:
    """A call is written as `open`, a JSON object with the keys "name" and `arguments`, `close`."""

    open: str
    close: str
    arguments: str

    def calls(self, text: str) -> list[ToolCall] | None:
        """The calls in the tail of an answer that begins with `open`; None where it is anything else."""
        found = []
        while text.strip():
            text = text.lstrip()
            if not text.startswith(self.open):
                return None
            try:
                value, end = json.JSONDecoder().raw_decode(text[len(self.open) :].lstrip())
            except (ValueError, RecursionError):
                return None
            text = text[len(self.open) :].lstrip()[end:].lstrip()
            if not isinstance(value, dict) or not text.startswith(self.close):
                return None
            name, arguments = value.get("name"), value.get(self.arguments)
            if not isinstance(name, str) or not isinstance(arguments, dict):
                return None
            found.append(ToolCall(name, arguments, f"call_{secrets.token_hex(8)}"))
            text = text[len(self.close) :]
        return found


def learn_form(template: Template, dialect: Dialect, control: Container[str]) -> ToolForm | None:
    """How the template writes a call of a tool that it was told of; None if it does not, or in no such form."""
    question = text_message("user", "?")
    asked = Message("assistant", (), tool_calls=(ToolCall(NAME, {KEY: VALUE}, "x"),))
    try:
        prompt = dialect.prompt(template, (question,), (TOOL,))
        whole = dialect.text(template, (question, asked), (TOOL,))
    except UserError:
        return None
    if NAME not in prompt or not whole.startswith(prompt):
        return None
    form = form_of(whole[len(prompt) :].partition(dialect.mark)[0])
    special = form and (form.open in control or form.close in control)
    return None if special else form  # the words of an answer are read without its control tokens


def form_of(answer: str) -> ToolForm | None:
    """The marks around the JSON object in what a template wrote for the call."""
    start = answer.find("{")
    before = MARK.findall(answer[: max(start, 0)])
    if start < 0 or len(before) != 1:
        return None
    try:
        value, length = json.JSONDecoder().raw_decode(answer[start:])
    except ValueError:
        return None
    close = MARK.match(answer[start + length :].lstrip())
    keys = [key for key, part in value.items() if part == {KEY: VALUE}]
    if value.get("name") != NAME or len(keys) != 1 or not close:
        return None
    return ToolForm(before[0], close.group(), keys[0])
