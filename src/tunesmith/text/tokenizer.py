"""Tokenizers: loading from whatever the user has, and the few questions that rendering asks of one."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.text.guard import GUARD

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# How tokenizers without a configuration beside them name the end and the start of a text.
ENDS = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|eos|>", "[SEP]")
STARTS = ("<s>", "<|begin_of_text|>", "<bos>", "<|bos|>", "[CLS]")


def load_tokenizer(source: str) -> "PreTrainedTokenizerFast":
    """The tokenizer of a model folder, hub id, tokenizer.json file or SentencePiece model file.

    Raises UserError when there is none, or when it is broken.
    """
    path = Path(source)
    if path.is_file() and path.suffix == ".json":
        return from_json(path)
    if path.is_file():
        return from_sentencepiece(path, {})
    if path.is_dir() and not (path / "tokenizer.json").exists() and (path / "tokenizer.model").exists():
        return from_sentencepiece(path / "tokenizer.model", read_config(path))
    return from_pretrained(source)


def from_json(path: Path) -> "PreTrainedTokenizerFast":
    """A bare tokenizer.json; the start and end of text are found among its special tokens."""
    if (path.parent / "tokenizer_config.json").exists() and path.name == "tokenizer.json":
        return from_pretrained(str(path.parent))
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    try:
        made = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise UserError(
            tr("{path} is not a tokenizer.json: {error}", path=path, error=error),
            tr("give a tokenizer.json, a SentencePiece tokenizer.model, or a model folder"),
        ) from error
    known = {token.content for token in made.get_added_tokens_decoder().values()}
    found = {"eos_token": first(ENDS, known), "bos_token": first(STARTS, known)}
    return PreTrainedTokenizerFast(
        tokenizer_object=made, clean_up_tokenization_spaces=False, **{k: v for k, v in found.items() if v}
    )


def from_sentencepiece(path: Path, config: dict[str, Any]) -> "PreTrainedTokenizerFast":
    """A SentencePiece model; `config` is the tokenizer_config.json beside it, for roles and chat template."""
    from transformers import PreTrainedTokenizerFast

    from tunesmith.text import sentencepiece

    made, roles = sentencepiece.load(path)
    for role in ("bos_token", "eos_token", "unk_token", "pad_token"):
        named = config.get(role)
        roles |= {role: named["content"] if isinstance(named, dict) else named} if named else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False, **roles)
    tokenizer.chat_template = config.get("chat_template")
    return tokenizer


def from_pretrained(source: str) -> "PreTrainedTokenizerFast":
    """A model folder or a hub id, through transformers; code in the folder is never run."""
    from transformers import AutoTokenizer

    if (source.startswith((".", "/", "~")) or Path(source).exists()) and not has_tokenizer(Path(source)):
        raise UserError(
            tr("{source} holds no tokenizer", source=source),
            tr("point at a folder with tokenizer.json or tokenizer.model, or at such a file"),
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, clean_up_tokenization_spaces=False)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise UserError(
            tr("no tokenizer can be loaded from {source!r}: {error}", source=source, error=str(error).split("\n")[0]),
            tr("give a folder or file on this machine; a hub id needs network access"),
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(
            tr("{source} has only a slow tokenizer written in Python", source=source),
            tr("give a tokenizer.json or a SentencePiece tokenizer.model"),
        )
    return cast("PreTrainedTokenizerFast", tokenizer)


def has_tokenizer(folder: Path) -> bool:
    names = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "spiece.model", "vocab.txt")
    return any((folder / name).exists() for name in names)


def read_config(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json of a folder, empty when there is none."""
    file = folder / "tokenizer_config.json"
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(tr("{path} is not valid JSON: {error}", path=file, error=error), tr("mend the file")) from error
    return found if isinstance(found, dict) else {}


def first(names: Sequence[str], known: set[str]) -> str | None:
    return next((name for name in names if name in known), None)


def control_tokens(tokenizer: "PreTrainedTokenizerFast") -> dict[str, int]:
    """Text → id of every token that is matched whole and never made from ordinary words. Slow where there are many."""
    return {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if token.special}


def add_control_tokens(tokenizer: "PreTrainedTokenizerFast", tokens: Sequence[str]) -> tuple[str, ...]:
    """Make each of `tokens` a control token of the tokenizer; returns those that it lacked."""
    from tokenizers import AddedToken

    missing = tuple(dict.fromkeys(token for token in tokens if token not in control_tokens(tokenizer)))
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in missing], special_tokens=True)
    return missing


def encode(tokenizer: "PreTrainedTokenizerFast", texts: Sequence[str]) -> list[list[int]]:
    """Ids of each text, control tokens recognised, nothing added before or after.

    Text that holds the guard character is taken apart: what it guards is ordinary text.
    """
    backend = tokenizer.backend_tokenizer
    plain = [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    for index, text in enumerate(texts):
        if GUARD in text:
            plain[index] = encode_guarded(tokenizer, text)
    return plain


def encode_guarded(tokenizer: "PreTrainedTokenizerFast", text: str) -> list[int]:
    """Ids of a text in which some control-token text is only quoted: [quoted] stays words, the rest is control."""
    known = control_tokens(tokenizer)
    backend = tokenizer.backend_tokenizer
    ids: list[int] = []
    backend.encode_special_tokens = True
    try:
        for piece in re.split(f"({'|'.join(map(re.escape, sorted(known, key=len, reverse=True)))})", text):
            if piece in known:
                ids.append(known[piece])
            elif piece:
                ids += backend.encode(piece.replace(GUARD, ""), add_special_tokens=False).ids
    finally:
        backend.encode_special_tokens = False
    return ids


def unwritable(tokenizer: "PreTrainedTokenizerFast", text: str) -> str:
    """The first character of a text for which the tokenizer has no token."""
    alone = encode(tokenizer, list(text))
    return next((text[place] for place, ids in enumerate(alone) if unknown_id(tokenizer) in ids), text[:20])


def unknown_id(tokenizer: "PreTrainedTokenizerFast") -> int | None:
    """The id for what cannot be written; none where that token has another office, as the end of text in GPT-2."""
    others = (tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id)
    return None if tokenizer.unk_token_id in others else cast(int, tokenizer.unk_token_id)


def encode_after(tokenizer: "PreTrainedTokenizerFast", text: str) -> list[int] | None:
    """Ids of a text that goes on after other text: no start-of-text prefix. None when it cannot be told."""
    for anchor in ("\n", ".", "a"):
        alone, joined = encode(tokenizer, [anchor, anchor + text])
        if joined[: len(alone)] == alone:
            return joined[len(alone) :]
    return None


BORDER = 4  # tokens before others that may tell how those read: a character has at most four bytes


def decode_after(tokenizer: "PreTrainedTokenizerFast", before: Sequence[int], ids: Sequence[int]) -> str:
    """The text that `ids` add after `before`."""
    return decode_tail(tokenizer, tuple(before[-BORDER:]), tuple(ids))


@lru_cache(maxsize=64)  # an answer is decoded where it is cut from its prompt, and right after in its proof
def decode_tail(tokenizer: "PreTrainedTokenizerFast", head: tuple[int, ...], ids: tuple[int, ...]) -> str:
    return decode(tokenizer, head + ids)[len(decode_head(tokenizer, head)) :]


@lru_cache(maxsize=64)  # most prompts of a template end alike
def decode_head(tokenizer: "PreTrainedTokenizerFast", head: tuple[int, ...]) -> str:
    return decode(tokenizer, head)


def spelled_after(
    tokenizer: "PreTrainedTokenizerFast", control: Mapping[str, int], before: Sequence[int], ids: Sequence[int]
) -> str:
    """The text that `ids` add after `before`; a token of `control` at the end reads as it is written."""
    last = tokenizer.backend_tokenizer.id_to_token(ids[-1]) if ids else None
    if last is None or control.get(last) != ids[-1]:
        return decode_after(tokenizer, before, ids)
    return decode_after(tokenizer, before, ids[:-1]) + str(last)


def same_to(tokenizer: "PreTrainedTokenizerFast", left: str, right: str, end: str) -> bool:
    """Whether two texts that close with `end` are one to the tokenizer: T5's, for one, reads every blank as a space.

    They are compared as it normalises and splits them, before it looks for pieces.
    """

    def parts(text: str) -> list[str]:
        normalizer, splitter = tokenizer.backend_tokenizer.normalizer, tokenizer.backend_tokenizer.pre_tokenizer
        text = normalizer.normalize_str(text) if normalizer else text
        return [part for part, _ in splitter.pre_tokenize_str(text)] if splitter else [text]

    ended = left.endswith(end) and right.endswith(end)
    return ended and parts(left.removesuffix(end)) == parts(right.removesuffix(end))


def decode(tokenizer: "PreTrainedTokenizerFast", ids: Sequence[int]) -> str:
    return str(tokenizer.backend_tokenizer.decode(list(ids), skip_special_tokens=False))
