"""Answers that must have a form: JSON of a schema, or calls of tools. llguidance tells which tokens may come next."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import llguidance
import torch
from torch import Tensor

from tunesmith.serve.engines.shape import Form
from tunesmith.serve.tools import ToolForm

BLANKS = r"[\x20\x0A]{1,20}"  # between the parts of JSON: a model that likes blanks would go on with them for ever
ANY_OBJECT = {"type": "object"}
Schema = dict[str, Any]


@dataclass(slots=True)
class Guided:
    """A matcher's place in its grammar."""

    matcher: Any

    def allowed(self, size: int) -> Tensor:
        bits = torch.frombuffer(bytearray(self.matcher.compute_bitmask()), dtype=torch.uint8)
        each = ((bits[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1).flatten().bool()[:size]
        return torch.cat((each, torch.zeros(size - len(each), dtype=torch.bool)))

    def add(self, token: int) -> bool:
        if not self.matcher.consume_token(token):
            raise ValueError(self.matcher.get_error() or "no token may come next")
        return bool(self.matcher.is_stopped())

    def copy(self) -> "Guided":
        return Guided(self.matcher.deep_copy())


@dataclass
class Grammars:
    """Grammars over one model's tokens. `source` gives the JSON of a tokenizer, or what llguidance asks of another."""

    source: Callable[[], object]
    size: int
    stop_ids: Sequence[int]

    @cached_property
    def tokens(self) -> Any:
        source = self.source()
        told = source if isinstance(source, str) else llguidance.TokenizerWrapper(source)
        return llguidance.LLTokenizer(told, self.size, list(self.stop_ids))

    def form(self, grammar: str) -> Form:
        """Raises ValueError with the reason where the grammar cannot be kept."""
        if not self.stop_ids:
            raise ValueError("the model has no token that ends an answer")
        wrong = llguidance.LLMatcher.validate_grammar(grammar, self.tokens)
        if wrong and not wrong.startswith("WARNING"):
            raise ValueError(wrong.partition("\n")[0])
        form = Guided(llguidance.LLMatcher(self.tokens, grammar, log_level=0))
        first = form.copy().allowed(self.size)
        first[list(self.stop_ids)] = False
        if not first.any():
            raise ValueError("no answer can have this form")
        return form


def json_rule(schema: Schema) -> str:
    """A schema within a grammar, whose settings are ours."""
    return "%json " + json.dumps(schema | {"x-guidance": {"whitespace_pattern": BLANKS}})


def grammar_of(
    schema: Schema | None, form: ToolForm | None, tools: Sequence[dict[str, Any]], free: bool = False, one: bool = False
) -> str:
    """An answer that is JSON of a schema, if there is one, or one or more calls of tools, if there are any.

    free  the answer may be words, and words may stand before the calls; after the mark of a call only a call may come
    one   at most one call
    """
    ways, rules = [], []
    if schema is not None:
        ways.append("answer")
        rules.append(f"answer: {json_rule(schema)}")
    if form and tools:
        ways += ["WORDS", "begun calls"] if free else ["OPEN calls"]
        mark, some = json.dumps(form.open), r"/(.|\n)*/"
        rules += [f"OPEN: {mark}", f"WORDS: {some} & ~({some} {mark} {some})"]
        rules += ["begun[lazy]: BEGUN", f"BEGUN: {some} {mark}"]
        rules.append("calls: call" if one else r"calls: call (/\n?/ OPEN call)*")
        rules.append(f"call: {' | '.join(f'call{number}' for number in range(len(tools)))}")
        rules += [rule for number, tool in enumerate(tools) for rule in call_rules(form, tool["function"], number)]
    return str(llguidance.LLMatcher.grammar_from_lark("\n".join([f"start: {' | '.join(ways)}", *rules])))


def call_rules(form: ToolForm, function: dict[str, Any], number: int) -> Iterator[str]:
    """A call as templates write it, after its mark. Arguments are a rule: a reference begins at their schema's root."""
    head = json.dumps(f'{{"name": {json.dumps(function["name"])}, {json.dumps(form.arguments)}: ')
    yield rf"call{number}: /\n?/ {head} arguments{number} /\}}\n?/ {json.dumps(form.close)}"
    yield f"arguments{number}: {json_rule(ANY_OBJECT | (function.get('parameters') or {}))}"
