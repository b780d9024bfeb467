"""What a GGUF file says of its words: control tokens, where an answer stops, how a conversation is written."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.gguf_file import Gguf
from tunesmith.records import Message
from tunesmith.text.dialect import Dialect, learn_dialect
from tunesmith.text.guard import GUARD, guarded
from tunesmith.text.template import Template

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # types of token in GGUF


@dataclass(frozen=True, slots=True)
class ControlToken:
    content: str
    special: bool = True


@dataclass(frozen=True, slots=True)
class Named:
    """The part of a tokenizer that a template's dialect is learnt from, out of a GGUF file."""

    added_tokens_decoder: dict[int, ControlToken]
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    unk_token: str | None


@dataclass(slots=True)
class GgufWords:
    """The words of the file whose head this is. `control`: text → id of what is never made from ordinary words."""

    head: Gguf
    control: dict[str, int] = field(init=False)
    _dialects: dict[bool, Dialect] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tokens = self.head.fields["tokenizer.ggml.tokens"]
        types = self.head.fields.get("tokenizer.ggml.token_type", ())
        self.control = {
            text: number for number, (text, kind) in enumerate(zip(tokens, types, strict=False)) if kind == CONTROL
        }

    def role(self, name: str) -> int | None:
        """Id of the token with an office: bos, eos, eot, eom, padding, unknown."""
        found = self.head.fields.get(f"tokenizer.ggml.{name}_token_id")
        return None if found is None else int(found)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids at which an answer ends, as the file says."""
        found = (self.role(name) for name in ("eos", "eot", "eom"))
        return frozenset(number for number in found if number is not None)

    @property
    def template(self) -> Template:
        """The chat template in the file. Raises UserError when there is none."""
        source = self.head.fields.get("tokenizer.chat_template")
        if not source:
            raise UserError(
                tr("{path} has no chat template", path=self.head.path),
                tr("export a tuned model, or give text to continue instead of messages"),
            )
        return Template(self.head.path.name, str(source))

    def dialect(self, thinking: bool = False) -> Dialect:
        """How the template is spoken to, for answers with or without thinking."""
        if thinking not in self._dialects:
            self._dialects[thinking] = learn_dialect(self.template, cast(Any, self.named()), thinking)
        return self._dialects[thinking]

    def named(self) -> Named:
        tokens = self.head.fields["tokenizer.ggml.tokens"]
        added = {number: ControlToken(text) for text, number in self.control.items()}
        roles = (self.role(name) for name in ("bos", "eos", "padding", "unknown"))
        return Named(added, *(None if number is None else tokens[number] for number in roles))

    def prompt(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], thinking: bool) -> str:
        """A conversation up to where the next answer begins; control tokens in its words are guarded."""
        return self.dialect(thinking).prompt(self.template, guarded(messages, self.control), tuple(tools))

    def parts(self, text: str) -> Iterator[tuple[str, int | None]]:
        """A text with guards as ordinary words (id None) and control tokens."""
        for part in re.split(f"({'|'.join(map(re.escape, sorted(self.control, key=len, reverse=True)))})", text):
            if part:
                yield part.replace(GUARD, ""), self.control.get(part)
