"""Between words and token ids, as one model has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

from transformers import PreTrainedTokenizerFast

from tunesmith.chat import TextStream
from tunesmith.errors import UserError
from tunesmith.records import Message, text_message
from tunesmith.serve.grammar import Grammars
from tunesmith.serve.tools import ToolForm, learn_form
from tunesmith.text.render import Renderer, require_unicode

QUESTION = text_message("user", "?")


class Tongue(Protocol):
    """
    size          one more than the highest id that the model has an embedding for
    chats         whether it has a chat template
    takes_system  whether that takes a system prompt
    form          how it writes tool calls; None where that cannot be told
    stop_ids      tokens that end an answer
    """

    @property
    def size(self) -> int: ...

    @property
    def chats(self) -> bool: ...

    @property
    def takes_system(self) -> bool: ...

    @property
    def form(self) -> ToolForm | None: ...

    @property
    def stop_ids(self) -> frozenset[int]: ...

    def prompt(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> list[int]:
        """Ids of a conversation up to where the answer begins. Raises UserError where the template cannot write it."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a plain text, with what the tokenizer puts before every text."""
        ...

    @property
    def grammars(self) -> Grammars:
        """What answers can be held to."""
        ...

    def stream(self) -> TextStream:
        """Ids in, text out."""
        ...

    def piece(self, token: int) -> str:
        """The text of one token within a text."""
        ...


def spelled(tongue: Tongue, token: int) -> tuple[str, bytes | None]:
    """The text of a token, and its bytes; a part of a character is named by them, as OpenAI does: \\xf0\\x9f.

    The bytes are None where they cannot be known: llguidance, which tells them, reads no model without an end.
    """
    text = tongue.piece(token)
    if "\ufffd" not in text:
        return text, text.encode()
    if not tongue.stop_ids:
        return text, None
    raw = bytes(tongue.grammars.tokens.decode_bytes([token]))
    try:
        return raw.decode(), raw
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" for byte in raw), raw


def characters(raw: bytes) -> int:
    """How many characters begin in these bytes of UTF-8: not those that go on with one."""
    return sum(byte & 0xC0 != 0x80 for byte in raw)


def takes_system(prompt: Callable[[Sequence[Message]], list[int]]) -> bool:
    """Whether the words of a system prompt reach the prompt."""
    try:
        return prompt([text_message("system", "Xsystemx"), QUESTION]) != prompt([QUESTION])
    except UserError:
        return False


@dataclass
class Spelling:
    """What a TextStream asks of a tokenizer: twice for each token, mostly for one that it had before."""

    tokenizer: PreTrainedTokenizerFast
    single: dict[int, str] = field(default_factory=dict)

    def decode(self, ids: Sequence[int], **how: Any) -> str:
        if len(ids) != 1:
            return str(self.tokenizer.decode(list(ids), **how))
        if ids[0] not in self.single:
            self.single[ids[0]] = str(self.tokenizer.decode(list(ids), **how))
        return self.single[ids[0]]


@dataclass
class TokenizerTongue:
    """A tokenizer of transformers; without a renderer it only continues text."""

    tokenizer: PreTrainedTokenizerFast
    renderer: Renderer | None
    size: int
    ends: frozenset[int] = frozenset()
    pieces: dict[int, str] = field(default_factory=dict)

    @property
    def chats(self) -> bool:
        return self.renderer is not None

    @cached_property
    def takes_system(self) -> bool:
        return self.chats and takes_system(self.prompt)

    @cached_property
    def form(self) -> ToolForm | None:
        made = self.renderer
        return learn_form(made.template, made.dialect(), made.control) if made else None

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        marks = self.renderer.stop_ids if self.renderer else [self.tokenizer.eos_token_id]
        return self.ends | {mark for mark in marks if mark is not None}

    def prompt(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> list[int]:
        if self.renderer is None:
            raise UserError("no chat template")
        require_unicode(tuple(messages))
        return self.renderer.prompt(messages, tools)

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text).input_ids)

    @cached_property
    def grammars(self) -> Grammars:
        return Grammars(self.tokenizer.backend_tokenizer.to_str, self.size, sorted(self.stop_ids))

    def stream(self) -> TextStream:
        return TextStream(cast(PreTrainedTokenizerFast, self.spelling))

    @cached_property
    def spelling(self) -> "Spelling":
        return Spelling(self.tokenizer)

    def piece(self, token: int) -> str:
        if token not in self.pieces:
            before = self._anchor[0]
            whole = self.tokenizer.decode([*before, token], skip_special_tokens=False)
            self.pieces[token] = str(whole)[self._anchor[1] :]
        return self.pieces[token]

    @cached_property
    def _anchor(self) -> tuple[list[int], int]:
        """Ids to stand before a token, and the length of their text: some decoders take blanks from a text's start."""
        ids = list(self.tokenizer("a", add_special_tokens=False).input_ids)
        return ids, len(str(self.tokenizer.decode(ids, skip_special_tokens=False)))
