"""llama.cpp: the only module that calls it. A GGUF file that can be tokenized with, asked, and served from.

What is asked is llama.cpp itself, through its C functions; the words around them (chat template, stop marks, what a
person may not write as a control token) are ours, read from the file.
"""

import ctypes
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr
from tunesmith.models.gguf_file import read_gguf
from tunesmith.models.gguf_words import GgufWords
from tunesmith.records import Message
from tunesmith.text.guard import GUARD

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Cache = Literal["f32", "f16"]
CACHES: dict[Cache, int] = {"f32": 0, "f16": 1}  # ggml's numbers of these types
FLASH: dict[Cache, int] = {"f32": 0, "f16": -1}  # never, which rounds to half precision within; where it is faster
EXACT = "tokenizer.huggingface.json"  # what trained the model, where llama.cpp's own tokenizers cannot do the same
BATCH = 512  # tokens computed at once


@cache
def library() -> Any:
    """llama.cpp's C functions, quiet. Raises UserError when the extra is not installed."""
    if util.find_spec("llama_cpp") is None:
        raise missing_extra("llama-cpp-python", "llamacpp", tr("running a GGUF file"))
    bindings: Any = import_bindings()
    silence = bindings.llama_log_callback(lambda level, text, data: None)
    bindings.llama_log_set(silence, ctypes.c_void_p(0))
    bindings.tunesmith_silence = silence  # ctypes does not keep it alive
    bindings.llama_backend_init()
    return bindings


def import_bindings() -> ModuleType:
    """llama_cpp.llama_cpp, by way of a bare package: the real one imports a disk cache that unpickles what it finds."""
    if "llama_cpp" in sys.modules:
        return import_module("llama_cpp.llama_cpp")
    found = util.find_spec("llama_cpp")
    assert found is not None
    assert found.submodule_search_locations is not None
    bare = ModuleType("llama_cpp")
    bare.__path__ = list(found.submodule_search_locations)
    sys.modules["llama_cpp"] = bare
    try:
        return import_module("llama_cpp.llama_cpp")
    finally:
        del sys.modules["llama_cpp"]


def installed() -> bool:
    return util.find_spec("llama_cpp") is not None


class Batch:
    """Room for BATCH tokens in columns that llama.cpp reads: to fill them at once takes less than number by number."""

    def __init__(self) -> None:
        kind = library().llama_batch
        self.numbers, self.wanted = np.zeros((3, BATCH), np.int32), np.zeros(BATCH, np.int8)
        tokens, positions, sequences = self.numbers
        each = sequences.ctypes.data + sequences.itemsize * np.arange(BATCH, dtype=np.uintp)
        self.columns: dict[str, NDArray[Any]] = {
            "token": tokens,
            "pos": positions,
            "n_seq_id": np.ones(BATCH, np.int32),
            "seq_id": each,  # a token may stand in several sequences: where the list of them begins; ours has one
            "logits": self.wanted,
        }
        types = dict(kind._fields_)
        self.given = kind(**{name: ctypes.cast(data.ctypes.data, types[name]) for name, data in self.columns.items()})

    def fill(self, rows: Sequence[tuple[int, int, int, bool]]) -> Any:
        """Rows of (token, position, sequence, wanted), as llama.cpp takes them."""
        table = np.array(rows, np.int32).T
        self.given.n_tokens = len(rows)
        self.numbers[:, : len(rows)], self.wanted[: len(rows)] = table[:3], table[3]
        return self.given


@dataclass(slots=True)
class LlamaCpp:
    """A GGUF file opened by llama.cpp, with room for `sequences` texts of `context` tokens; close it after use.

    pending  tokens of each sequence that were given and not yet computed      length  tokens that were
    """

    words: GgufWords
    model: Any
    vocabulary: Any
    context: int = 0
    sequences: int = 1
    running: Any = None
    exact: "Tokenizer | None" = None
    pending: dict[int, list[int]] = field(default_factory=dict)
    length: dict[int, int] = field(default_factory=dict)
    vocabulary_size: int = field(init=False)
    _batch: Batch = field(default_factory=Batch)
    _adapter: Any = None
    _pieces: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vocabulary_size = int(library().llama_vocab_n_tokens(self.vocabulary))

    def tokenize(self, text: str, special: bool = True) -> list[int]:
        """Ids of a text, nothing put before or after it; with `special`, control tokens in it are recognised."""
        if self.exact is not None:
            self.exact.encode_special_tokens = not special
            return list(self.exact.encode(text, add_special_tokens=False).ids)
        return self.tokenize_natively(text, special)

    def tokenize_natively(self, text: str, special: bool = True) -> list[int]:
        """As llama.cpp's own tokenizer splits it."""
        data = text.encode("utf-8")
        room = len(data) + 8
        ids = (ctypes.c_int32 * room)()
        count = library().llama_tokenize(self.vocabulary, data, len(data), ids, room, False, special)
        if count < 0:
            raise UserError(tr("llama.cpp cannot tokenize {text!r}", text=text[:40]), tr("leave this text out"))
        return list(ids[:count])

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for control tokens."""
        if token not in self._pieces:
            self._pieces[token] = self._spell(token)
        return self._pieces[token]

    def _spell(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        size = library().llama_token_to_piece(self.vocabulary, token, buffer, 256, 0, False)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = library().llama_token_to_piece(self.vocabulary, token, buffer, -size, 0, False)
        return buffer.raw[:size]

    def text(self, ids: Sequence[int]) -> str:
        """What an answer says; bytes that are no character are replaced."""
        return b"".join(self.piece(token) for token in ids).decode("utf-8", "replace")

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids at which an answer ends, as the file says."""
        return self.words.stop_ids

    def prompt(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), thinking: bool = False
    ) -> list[int]:
        """Ids of a conversation up to where the next answer begins; control tokens in its words stay words."""
        text = self.words.prompt(messages, tools, thinking)
        if GUARD not in text:
            return self.tokenize(text)
        ids: list[int] = []
        for part, token in self.words.parts(text):
            ids += self.tokenize(part, special=False) if token is None else [token]
        return ids

    def begin(self, sequence: int, ids: Sequence[int]) -> None:
        """Start a text anew; its tokens are computed by the next steps."""
        self.end(sequence)
        if not ids or len(ids) > self.context:
            raise UserError(
                tr(
                    "the text has {count} tokens, and there is room for 1 to {limit}",
                    count=len(ids),
                    limit=self.context,
                ),
                tr("shorten the text, or open the model with more context"),
            )
        self.pending[sequence], self.length[sequence] = list(ids), 0

    def end(self, sequence: int) -> None:
        """Forget a text and free its place."""
        self.pending.pop(sequence, None)
        if self.length.pop(sequence, 0):
            library().llama_memory_seq_rm(library().llama_get_memory(self.running), sequence, -1, -1)

    def step(self, tokens: Mapping[int, int] | None = None) -> dict[int, NDArray[np.float32]]:
        """Go on with `tokens` (sequence → its next token) and with texts that were begun, in one batch.

        Returns [V] logits for each sequence all of whose tokens are computed; a long text takes several steps.
        The next step writes over them.
        """
        for sequence, token in (tokens or {}).items():
            if self.length[sequence] + len(self.pending[sequence]) >= self.context:
                raise UserError(
                    tr("the text has reached the {limit} tokens that there is room for", limit=self.context),
                    tr("open the model with more context"),
                )
            self.pending[sequence].append(token)
        rows: list[tuple[int, int, int, bool]] = []
        for sequence, waiting in sorted(self.pending.items(), key=lambda item: len(item[1])):
            now = waiting[: BATCH - len(rows)]
            rows += [
                (token, self.length[sequence] + place, sequence, place + 1 == len(waiting))
                for place, token in enumerate(now)
            ]
        if not rows:
            return {}
        found = self.compute(rows)
        for sequence, count in Counter(row[2] for row in rows).items():
            del self.pending[sequence][:count]
            self.length[sequence] += count
        wanted = [sequence for _, _, sequence, last in rows if last]
        return dict(zip(wanted, found, strict=True))

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """[T, V]: after each of the T ids, what may come next."""
        self.begin(0, ids)
        parts = []
        for start in range(0, len(ids), BATCH):
            rows = [(token, start + place, 0, True) for place, token in enumerate(ids[start : start + BATCH])]
            parts.append(self.compute(rows).copy())
            self.length[0] = start + len(rows)
        self.end(0)
        return np.concatenate(parts)

    def answer(self, ids: Sequence[int], most: int) -> list[int]:
        """The likeliest tokens after `ids`, at most `most`, without the stop token."""
        stops, said = self.stop_ids, list[int]()
        self.begin(0, ids)
        found = self.step()
        while not found:
            found = self.step()
        while len(said) < most:
            token = int(found[0].argmax())
            if token in stops:
                break
            said.append(token)
            if len(ids) + len(said) > self.context - 1 or len(said) == most:
                break
            found = self.step({0: token})
        self.end(0)
        return said

    def compute(self, rows: Sequence[tuple[int, int, int, bool]]) -> NDArray[np.float32]:
        """[wanted rows, V] logits of one batch of (token, position, sequence, wanted); the next writes over it."""
        bindings = library()
        code = bindings.llama_decode(self.running, self._batch.fill(rows))
        if code:
            raise RuntimeError(f"llama_decode returned {code}")
        shape = sum(row[3] for row in rows), self.vocabulary_size
        if not shape[0]:
            return np.zeros(shape, np.float32)
        return np.ctypeslib.as_array(bindings.llama_get_logits(self.running), shape)

    def close(self) -> None:
        """Give the memory back; nothing may be asked afterwards."""
        bindings = library()
        if self.running is not None:
            bindings.llama_free(self.running)
            self.running = None
        if self.model is not None:
            bindings.llama_model_free(self.model)
            self.model = None


def open_gguf(
    path: Path,
    context: int = 0,
    sequences: int = 1,
    cache: Cache = "f16",
    threads: int = 0,
    adapter: Path | None = None,
    words_only: bool = False,
) -> LlamaCpp:
    """The GGUF at `path` (the first of its shards), ready to be asked.

    context     tokens that each sequence has room for; 0 for as many as the model is made for
    cache       precision of keys and values        adapter     a LoRA adapter in a GGUF of its own
    words_only  load the tokenizer alone            threads     0 for one per processor that we may use
    """
    head = read_gguf(path)
    if "general.architecture" not in head.fields or "tokenizer.ggml.tokens" not in head.fields:
        raise UserError(
            tr("{path} is a GGUF without a language model and its tokenizer", path=path), tr("give a model's GGUF")
        )
    bindings = library()
    settings = bindings.llama_model_default_params()
    settings.vocab_only, settings.n_gpu_layers = words_only, 0
    model = bindings.llama_model_load_from_file(os.fsencode(path), settings)
    if not model:
        raise UserError(
            tr(
                "llama.cpp cannot load {path} ({architecture})",
                path=path,
                architecture=head.fields["general.architecture"],
            ),
            tr("export it again, or update llama-cpp-python"),
        )
    made = LlamaCpp(GgufWords(head), model, bindings.llama_model_get_vocab(model))
    if source := head.fields.get(EXACT):
        from tokenizers import Tokenizer

        made.exact = Tokenizer.from_str(source)
    if not words_only:
        start(made, context, sequences, cache, threads)
        if adapter:
            attach(made, adapter)
    return made


def start(made: LlamaCpp, context: int, sequences: int, cache: Cache, threads: int) -> None:
    """Set up the memory of keys and values."""
    bindings = library()
    longest = int(bindings.llama_model_n_ctx_train(made.model))
    made.context, made.sequences = min(context or longest, longest), sequences
    settings = bindings.llama_context_default_params()
    settings.n_ctx, settings.n_seq_max = made.context * sequences, sequences
    settings.n_batch = settings.n_ubatch = BATCH
    settings.type_k = settings.type_v = CACHES[cache]
    settings.n_threads = settings.n_threads_batch = threads or len(os.sched_getaffinity(0))
    settings.flash_attn_type = FLASH[cache]
    settings.no_perf = True
    made.running = bindings.llama_init_from_model(made.model, settings)
    if not made.running:
        raise UserError(
            tr("there is no memory for {count} texts of {context} tokens", count=sequences, context=made.context),
            tr("open the model with less context"),
        )


def attach(made: LlamaCpp, adapter: Path) -> None:
    """Put a LoRA adapter on the model."""
    bindings = library()
    read_gguf(adapter)
    made._adapter = bindings.llama_adapter_lora_init(made.model, os.fsencode(adapter))
    if not made._adapter:
        raise UserError(
            tr("llama.cpp cannot put the adapter {adapter} on {path}", adapter=adapter, path=made.words.head.path),
            tr("check that it was trained on this model"),
        )
    one = (bindings.llama_adapter_lora_p_ctypes * 1)(made._adapter)
    bindings.llama_set_adapters_lora(made.running, one, 1, (ctypes.c_float * 1)(1.0))


def quantize(source: Path, target: Path, number: int, importance: Mapping[str, NDArray[np.float32]]) -> None:
    """llama.cpp's own quantizer: `source` as LLAMA_FTYPE `number`, with an importance matrix if there is one."""
    bindings = library()
    settings = bindings.llama_model_quantize_default_params()
    settings.ftype, settings.nthread = number, len(os.sched_getaffinity(0))
    kept = [(name.encode(), np.ascontiguousarray(values, np.float32)) for name, values in importance.items()]
    table = (bindings.llama_model_imatrix_data * (len(kept) + 1))()
    for place, (name, values) in enumerate(kept):
        table[place].name, table[place].size = name, values.size
        table[place].data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    if kept:
        settings.imatrix = ctypes.cast(table, type(settings.imatrix))
    code = bindings.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(settings))
    if code:
        raise UserError(
            tr("llama.cpp's quantizer refused {path}", path=source), tr("leave out quantizer=llamacpp to use ours")
        )
