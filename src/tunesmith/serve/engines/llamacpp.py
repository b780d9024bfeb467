"""llama.cpp behind a GGUF file: its slots, and its words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tunesmith.chat import TextStream
from tunesmith.models.llamacpp import LlamaCpp
from tunesmith.records import Message
from tunesmith.serve.grammar import Grammars
from tunesmith.serve.tongue import takes_system
from tunesmith.serve.tools import ToolForm, learn_form
from tunesmith.text.render import require_unicode


@dataclass(slots=True)
class LlamaDecoder:
    """All running answers in one batch. The last sequence is kept for questions about a text as a whole."""

    llama: LlamaCpp
    name: str = "llama.cpp"

    @property
    def context(self) -> int:
        return self.llama.context

    @property
    def slots(self) -> int:
        return self.llama.sequences - 1

    def begin(self, slot: int, ids: Sequence[int]) -> None:
        self.llama.begin(slot + 1, ids)

    def step(self, tokens: Mapping[int, int]) -> Mapping[int, Tensor]:
        found = self.llama.step({slot + 1: token for slot, token in tokens.items()})
        return {sequence - 1: torch.from_numpy(logits) for sequence, logits in found.items()}

    def end(self, slot: int) -> None:
        self.llama.end(slot + 1)

    def logits(self, ids: Sequence[int]) -> Tensor:
        return torch.from_numpy(self.llama.logits(ids))

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        return None

    def close(self) -> None:
        self.llama.close()


@dataclass
class LlamaTongue:
    """The tokenizer and the chat template in a GGUF file."""

    llama: LlamaCpp

    @property
    def size(self) -> int:
        return self.llama.vocabulary_size

    @cached_property
    def chats(self) -> bool:
        return bool(self.llama.words.head.fields.get("tokenizer.chat_template"))

    @cached_property
    def takes_system(self) -> bool:
        return self.chats and takes_system(self.prompt)

    @cached_property
    def form(self) -> ToolForm | None:
        if not self.chats:
            return None
        words = self.llama.words
        return learn_form(words.template, words.dialect(), words.control)

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        return self.llama.stop_ids

    def prompt(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> list[int]:
        require_unicode(tuple(messages))
        return self.llama.prompt(messages, tools)

    def encode(self, text: str) -> list[int]:
        fields = self.llama.words.head.fields
        begun = fields.get("tokenizer.ggml.add_bos_token") and fields.get("tokenizer.ggml.bos_token_id") is not None
        return [*([int(fields["tokenizer.ggml.bos_token_id"])] if begun else []), *self.llama.tokenize(text)]

    @cached_property
    def grammars(self) -> Grammars:
        return Grammars(lambda: Pieces(self.llama), self.size, sorted(self.stop_ids))

    def stream(self) -> TextStream:
        return TextStream(cast(PreTrainedTokenizerFast, Spelling(self.llama)))

    def piece(self, token: int) -> str:
        return self.llama.text([token])


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a TextStream asks of a tokenizer."""

    llama: LlamaCpp

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return self.llama.text(ids)


class Pieces:
    """What llguidance asks of a tokenizer."""

    def __init__(self, llama: LlamaCpp) -> None:
        self.llama = llama
        self.eos_token_id, self.bos_token_id = min(llama.stop_ids), None
        self.tokens = [llama.piece(token) for token in range(llama.vocabulary_size)]
        self.special_token_ids = [token for token, piece in enumerate(self.tokens) if not piece]

    def __call__(self, text: str) -> list[int]:
        return self.llama.tokenize_natively(text, special=False)  # keeps no state: it is called from any thread


def gguf_file(name: str) -> Path | None:
    """The GGUF that a name stands for: a file, or the (first) one in the folder of an export; None for other models."""
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return path
    if not path.is_dir() or (path / "config.json").exists():
        return None
    return next(iter(sorted(path.glob("model*.gguf"))), None)
