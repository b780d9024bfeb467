"""Chat templates: Jinja text in, prompts out. The only place where Jinja is run.

A template may declare control tokens in its first comment, as JSON:
    {#- control tokens: ["<|im_start|>", "<|im_end|>"] -#}
They are added to a tokenizer that lacks them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Message

DECLARED = re.compile(r"\{#-?\s*control tokens:\s*(\[.*?\])\s*-?#\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Template:
    """Jinja source and the name to call it by."""

    name: str
    source: str

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The control tokens that the template declares for itself."""
        found = DECLARED.match(self.source)
        return tuple(json.loads(found.group(1))) if found else ()

    @property
    def variables(self) -> frozenset[str]:
        """Names that the template reads from its surroundings."""
        return undeclared(self)


class Generation(Extension):
    """{% generation %} … {% endgeneration %}: marks the assistant's words in some templates; prints its body."""

    tags = {"generation"}  # noqa: RUF012  (jinja2 reads it from the class)

    def parse(self, parser: Any) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> str:
        return str(caller())


class Refused(jinja2.TemplateError):
    """A template called raise_exception."""


def refuse(message: str) -> None:
    raise Refused(message)


def to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """The tojson that chat templates expect: Unicode stays readable, nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The Jinja dialect of chat templates; sandboxed, since templates are downloaded."""
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = to_json
    made.globals["raise_exception"] = refuse
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return made


@cache
def compiled(template: Template) -> jinja2.Template:
    """The template ready to run. Raises UserError when it is no valid Jinja."""
    try:
        made = environment().from_string(template.source)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(
            tr("template {name}, line {line}: {error}", name=template.name, line=error.lineno, error=error),
            tr("mend the template, or choose another with template=NAME"),
        ) from error
    made.globals = dict(made.globals)  # it is copied for each rendering, which takes long from a ChainMap
    return made


@cache
def undeclared(template: Template) -> frozenset[str]:
    compiled(template)
    return frozenset(jinja2.meta.find_undeclared_variables(environment().parse(template.source)))


@cache
def clock(template: Template) -> tuple[str, ...] | None:
    """The forms in which the template asks for the time; None where it takes them, or other words, by chance."""
    compiled(template)
    tree = environment().parse(template.source)
    asked = [call for call in tree.find_all(nodes.Call) if is_name(call.node, "strftime_now")]
    looked = [test for test in tree.find_all(nodes.Test) if is_name(test.node, "strftime_now")]
    forms = [argument.value for call in asked for argument in call.args if isinstance(argument, nodes.Const)]
    named = [name for name in tree.find_all(nodes.Name) if name.name == "strftime_now"]
    dice = any(used.name == "random" for used in tree.find_all(nodes.Filter))
    dice |= any(name.name == "lipsum" for name in tree.find_all(nodes.Name))
    return None if dice or len(forms) != len(asked) or len(named) != len(asked) + len(looked) else tuple(forms)


def is_name(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def moment(template: Template) -> tuple[str, ...] | None:
    """What a template that writes the time would write now; None where it may write other words each time."""
    forms = clock(template)
    return None if forms is None else tuple(datetime.now().strftime(form) for form in forms)


def write(template: Template, messages: Sequence[dict[str, Any]], generate: bool, **context: Any) -> str:
    """The text of a conversation; with `generate`, up to where the assistant starts to speak.

    Raises UserError when the template refuses the messages or is no valid Jinja.
    """
    try:
        return compiled(template).render(messages=messages, add_generation_prompt=generate, **context)
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        IndexError,
        ArithmeticError,
    ) as error:
        raise UserError(
            tr("template {name} cannot write this conversation: {error}", name=template.name, error=error),
            tr("see what the template accepts, or choose another with template=NAME"),
        ) from error


def as_dict(message: Message, style: str = "text") -> dict[str, Any]:
    """A message as chat templates expect it; `style` "parts" gives content as a list of typed parts.

    Besides the joined text, a message that keeps an input apart from its instruction carries both.
    """
    if message.plain and style == "text":
        return {"role": message.role, "content": message.parts[0].text}
    text = "\n\n".join(part.text for part in message.parts if part.kind == "text")
    media = [{"type": part.kind, part.kind: part.source} for part in message.parts if part.kind != "text"]
    made: dict[str, Any] = {"role": message.role, "content": text}
    if style == "parts" or media:
        made["content"] = [*media, {"type": "text", "text": text}]
    named = {part.name: part.text for part in message.parts if part.name in ("instruction", "input")}
    if len(named) == 2:
        made |= named
    if message.thinking:
        made |= {"reasoning_content": message.thinking, "thinking": message.thinking}
    if message.name:
        made["name"] = message.name
    if message.call_id:
        made["tool_call_id"] = message.call_id
    if message.tool_calls:
        made["tool_calls"] = [
            {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return made


@cache
def shipped() -> tuple[str, ...]:
    """Names of the templates that come with the package."""
    folder = resources.files("tunesmith.text") / "templates"
    return tuple(sorted(entry.name[:-6] for entry in folder.iterdir() if entry.name.endswith(".jinja")))


def load_template(name: str) -> Template:
    """A shipped template by name, or a .jinja file by path."""
    path = Path(name)
    if name in shipped():
        file = resources.files("tunesmith.text") / "templates" / f"{name}.jinja"
        return Template(name, file.read_text(encoding="utf-8"))
    if path.is_file():
        try:
            return Template(str(path), path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise UserError(tr("{path} is not UTF-8 text", path=path), tr("give a Jinja file")) from error
    raise UserError(
        tr("no template {name!r}", name=name),
        tr("use one of {names}, or the path of a .jinja file", names=", ".join(shipped())),
    )
