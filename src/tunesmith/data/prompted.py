"""Rows of a data set put into words by prompt templates: the question before "|||", the answer after it.

As promptsource does it: white space around each part is cut, "|||" within the row parts nothing, fields are
not shortened. Where promptsource throws dice, the draw here follows from the row, the template and the seed, so that
the same rows give the same words. Templates run in Jinja's sandbox, on a copy of the row.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jinja2
import jinja2.meta
from jinja2.sandbox import SandboxedEnvironment

from tunesmith.data.draw import drawn, pick
from tunesmith.data.promptsource import PromptTemplate
from tunesmith.errors import UserError
from tunesmith.formats.row import Row, raw
from tunesmith.messages import tr
from tunesmith.records import Conversation, Refusal, text_message

PARTED = "|||"
WITHIN = "\ue000\ue001\ue000"  # stands for "|||" within a row: private characters that no sound text holds
DICE = " dice"  # a name that no template can spell
FAILURES = (
    *(jinja2.TemplateError, ArithmeticError, AttributeError, LookupError),
    *(RecursionError, TypeError, ValueError),
)
PerRow = Literal["one", "all"]


@dataclass(frozen=True, slots=True)
class Prompted:
    """A row in words. `answers` are all that are right, `choices` all that may be chosen from, where they are given."""

    question: str
    answers: tuple[str, ...]
    choices: tuple[str, ...] = ()


class Unfit(Exception):  # noqa: N818
    """Why a template cannot put a row into words; becomes a Refusal."""


class Dice:
    """Draws that follow from a text, each throw another."""

    def __init__(self, *text: str) -> None:
        self.text = text
        self.throws = 0

    def choose(self, items: Sequence[Any]) -> Any:
        if not items:
            raise Unfit(tr("it chooses from an empty list"))
        self.throws += 1
        return pick(items, *self.text, str(self.throws))


def rendered(
    rows: Iterable[Row | Refusal], templates: Sequence[PromptTemplate], per_row: PerRow = "one", seed: int = 0
) -> Iterator[Conversation | Refusal]:
    """Each row in the words of one of the templates, drawn among those that fit it, or of all.

    Templates leave the answer empty to say that they do not fit a row (a paraphrase asked of sentences that are
    none). With "one", a row is refused where no template fits; with "all", each that does not is a refusal.
    """
    if not templates:
        raise UserError(tr("there are no prompt templates"), tr("name those of the data set"))
    for row in rows:
        if isinstance(row, Refusal):
            yield row
        elif per_row == "all":
            yield from (conversation(row, template, seed) for template in templates)
        else:
            yield first_fit(row, templates, seed)


def first_fit(row: Row, templates: Sequence[PromptTemplate], seed: int) -> Conversation | Refusal:
    """The row by the first template that fits, in an order drawn for the row; else the first refusal."""
    words = raw(row.value)
    order = sorted(templates, key=lambda template: drawn("template", str(seed), template.name, words))
    tried = []
    for template in order:
        made = conversation(row, template, seed)
        if isinstance(made, Conversation):
            return made
        tried.append(made)
    return tried[0]


def conversation(row: Row, template: PromptTemplate, seed: int = 0) -> Conversation | Refusal:
    """The row in the template's words; tags name the task, the template, the row and the further right answers."""
    content = raw(row.value)
    try:
        words = render(template, row.value, Dice(str(seed), template.name, content))
    except Unfit as reason:
        cure = tr("leave this template out for such rows, or mend the row")
        return Refusal(row.origin, tr("template {name}", name=template.name), str(reason), cure, content)
    first, *others = words.answers
    tags = (
        ("task", template.dataset),
        ("template", template.name),
        ("instance", f"{drawn(template.dataset, content):016x}"),
        *(("reference", other) for other in others),
    )
    return Conversation((text_message("user", words.question), text_message("assistant", first)), row.origin, tags=tags)


def render(template: PromptTemplate, row: Any, dice: Dice) -> Prompted:
    """The template's words for a row of its data set. Raises Unfit with the reason, UserError for a broken template."""
    fields = checked(template, row)
    fields[DICE] = dice
    choices = parted(run(template, template.choices, fields)) if template.choices else None
    question, *answers = parted(run(template, template.source, fields | {"answer_choices": choices}))
    if not question or not answers or not all(answers):
        raise Unfit(tr("it has no question and answer for this row"))
    return Prompted(restored(question), tuple(map(restored, answers)), tuple(map(restored, choices or ())))


def checked(template: PromptTemplate, row: Any) -> dict[str, Any]:
    """A copy of the row for the template to work on, if it is one and has what the template asks for."""
    if not isinstance(row, Mapping):
        raise Unfit(tr("the row is no object with fields"))
    if "answer_choices" in row:
        raise Unfit(tr("the row has a field {field}, whose name templates use otherwise", field="answer_choices"))
    missing = sorted(wanted(template) - row.keys())
    if missing:
        raise Unfit(tr("the row lacks the fields {fields}", fields=", ".join(missing)))
    return {str(key): copied(value) for key, value in row.items()}


def copied(value: Any) -> Any:
    """The value with its own lists and objects, which templates change, and no "|||" that would part the text."""
    if isinstance(value, str):
        return value.replace(PARTED, WITHIN) if PARTED in value else value
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list | tuple) else value


def run(template: PromptTemplate, source: str, fields: dict[str, Any]) -> str:
    try:
        return compiled(template, source).render(fields)
    except FAILURES as error:
        raise Unfit(tr("it fails on this row: {error}", error=error)) from error


def parted(text: str) -> list[str]:
    return [part.strip() for part in text.split(PARTED)]


def restored(text: str) -> str:
    """The text with the "|||" that the row has itself."""
    return text.replace(WITHIN, PARTED)


@cache
def environment() -> SandboxedEnvironment:
    """Jinja with promptsource's additions. Not the immutable sandbox: many templates append to lists of their own."""
    made = SandboxedEnvironment()
    made.globals["zip"] = zip
    del made.globals["lipsum"]  # random words
    made.filters["choice"] = made.filters["random"] = choose
    made.filters["most_frequent"] = most_frequent
    made.filters["highlight"] = str  # promptsource colours words for its editor
    return made


@jinja2.pass_context
def choose(context: jinja2.runtime.Context, items: Sequence[Any]) -> Any:
    return context[DICE].choose(items)


def most_frequent(items: Iterable[Any]) -> list[Any]:
    """All items that occur as often as the most frequent one, in the order in which they first come."""
    counts = Counter(items)
    return [item for item, count in counts.items() if count == max(counts.values())]


@cache
def compiled(template: PromptTemplate, source: str) -> jinja2.Template:
    try:
        return environment().from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(
            tr("{place}, line {line}: {error}", place=template, line=error.lineno, error=error),
            tr("mend the template, or leave it out"),
        ) from error


@cache
def wanted(template: PromptTemplate) -> frozenset[str]:
    """The fields of a row that the template reads. Raises UserError where it is no valid Jinja."""
    sources = [source for source in (template.source, template.choices) if source]
    for source in sources:
        compiled(template, source)
    names = (jinja2.meta.find_undeclared_variables(environment().parse(source)) for source in sources)
    return frozenset().union(*names) - {"answer_choices"} - environment().globals.keys()
