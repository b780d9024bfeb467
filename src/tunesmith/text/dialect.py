"""How one template wants to be spoken to, found by trying it on marked messages, never by its name.

Templates differ in what they take as content (text or typed parts), in whether an absent tool list may be
None, in the switch that turns a think block off, and in the mark that ends an answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Message, Part
from tunesmith.text.shape import Shapes
from tunesmith.text.template import Template, as_dict, write
from tunesmith.text.tokenizer import control_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SWITCHES = ("enable_thinking", "thinking")  # template variables by which servers turn thinking on and off
QUESTION, ANSWER, THOUGHT = "Xquestionx", "Xanswerx", "Xthoughtx"
NO_TOOLS: tuple[list[Any] | None, ...] = (None, [])  # how servers say that there are none
OPEN_BLOCK = re.compile(r"<([a-zA-Z_]+)>\s*$")
CONTROL_LIKE = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What is passed to the template besides the messages, and how an answer is framed.

    style    "text" or "parts": the form of content
    context  variables given to the template, in training and serving alike
    gap      white space that the template writes between prompt and answer; the model learns to say it
    close    everything from the end of the answer to the end of its mark, e.g. "<|im_end|>" or " </s>"
    mark     the control token at the end of `close`: the stop token
    added    the template writes no mark; ours is the tokenizer's end of text
    """

    style: str
    context: tuple[tuple[str, Any], ...]
    gap: str
    close: str
    mark: str
    added: bool
    shapes: Shapes = field(default_factory=Shapes, init=False, repr=False, compare=False)

    def text(self, template: Template, messages: tuple[Message, ...], tools: tuple[dict[str, Any], ...]) -> str:
        """The whole conversation, as the template writes history."""
        return self._write(template, messages, tools, generate=False)

    def prompt(self, template: Template, messages: tuple[Message, ...], tools: tuple[dict[str, Any], ...]) -> str:
        """The text that serving sends for an answer to `messages`."""
        return self._write(template, messages, tools, generate=True)

    def _write(self, template: Template, messages: Any, tools: Any, generate: bool) -> str:
        context, dicts = dict(self.context), [as_dict(message, self.style) for message in messages]
        if tools:
            return write(template, dicts, generate, **context | {"tools": list(tools)})
        return self.shapes.write(template, dicts, generate, context)


def learn_dialect(template: Template, tokenizer: "PreTrainedTokenizerFast", thinking: bool) -> Dialect:
    """The way to speak to `template`; with `thinking`, for answers that come with their own thinking.

    Prefers a way in which the answer follows the prompt directly. Raises UserError, with the reason, when
    no way shows where the answer begins and ends.
    """
    special = special_context(tokenizer)
    faults: list[str] = []
    usable: list[Dialect] = []
    for style, switches in product(("text", "parts"), switch_settings(template, thinking)):
        for tools in NO_TOOLS:
            context = (*special.items(), ("tools", tools), *switches)
            try:
                dialect, direct = try_dialect(template, tokenizer, Dialect(style, context, "", "", "", False), thinking)
            except UserError as error:
                faults.append(error.message)
                continue
            if direct:
                return dialect
            usable.append(dialect)
    if usable:
        return usable[0]
    raise UserError(
        tr("template {name} cannot be used: {fault}", name=template.name, fault=faults[0]),
        tr("choose another template, e.g. template=chatml"),
    )


def special_context(tokenizer: "PreTrainedTokenizerFast") -> dict[str, str]:
    """bos_token, eos_token and the like, as servers pass them; those that are missing are empty."""
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    return {name: str(getattr(tokenizer, name, None) or "") for name in names}


def switch_settings(template: Template, thinking: bool) -> Iterator[tuple[tuple[str, bool], ...]]:
    """No switch at all, and each switch that the template reads, set as `thinking` says.

    Thinking is asked for if it can be: the template that is saved has it off where a server says nothing.
    """
    switches = [((name, thinking),) for name in SWITCHES if name in template.variables]
    yield from (*switches, ()) if thinking else ((), *switches)


def try_dialect(
    template: Template, tokenizer: "PreTrainedTokenizerFast", draft: Dialect, thinking: bool
) -> tuple[Dialect, bool]:
    """The draft completed by what the template writes, and whether the answer follows its prompt directly."""
    asked = (Message("user", (Part(text=QUESTION),)),)
    answered = (*asked, Message("assistant", (Part(text=ANSWER),), thinking=THOUGHT if thinking else ""))
    prompt, whole = draft.prompt(template, asked, ()), draft.text(template, answered, ())
    if whole.count(ANSWER) != 1 or prompt.count(QUESTION) != 1:
        raise UserError(tr("it does not write the question and the answer exactly once"))
    before, after = whole.split(ANSWER)
    close, mark, added = end_of_answer(after, tokenizer)
    gap = before[len(prompt) :] if before.startswith(prompt) else None
    if thinking:
        if gap is None or THOUGHT not in gap:
            raise UserError(tr("it does not write the thinking between prompt and answer"))
        return Dialect(draft.style, draft.context, "", close, mark, added), True
    if gap is not None and not gap.strip():
        return Dialect(draft.style, draft.context, gap, close, mark, added), True
    opened = OPEN_BLOCK.search(prompt)
    if opened and f"</{opened.group(1)}>" in template.source:
        raise UserError(tr("its prompt opens a think block that no switch turns off, and the answer has no thinking"))
    return Dialect(draft.style, draft.context, "", close, mark, added), False


def end_of_answer(after: str, tokenizer: "PreTrainedTokenizerFast") -> tuple[str, str, bool]:
    """What stands after an answer up to its end mark, the mark, and whether the mark is added by us.

    The mark is the first control token after the answer; else the first thing that looks like one, or all the
    words there are; where the template writes nothing but white space, it is the tokenizer's end of text.
    """
    found = [(after.find(token), -len(token), token) for token in control_tokens(tokenizer) if token in after]
    if found:
        start, _, mark = min(found)
        return after[: start + len(mark)], mark, False
    like = CONTROL_LIKE.search(after)
    if like:
        return after[: like.end()], like.group(), False
    if after.strip():
        return after.rstrip(), after.strip(), False
    if not tokenizer.eos_token:
        raise UserError(tr("it writes no mark after an answer, and the tokenizer has no end-of-text token"))
    return str(tokenizer.eos_token), str(tokenizer.eos_token), True
