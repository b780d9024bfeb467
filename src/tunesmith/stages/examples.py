"""Data → proven examples: read, render, fit, and check every rule on every row."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith import formats
from tunesmith.artifact import hash_path
from tunesmith.batch import Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.proof import Proof, require
from tunesmith.recipe import Tune
from tunesmith.records import Conversation, Document, Record, Refusal
from tunesmith.text.length import Fit
from tunesmith.text.proofs import RULES, Rules, prove_serving
from tunesmith.text.render import Rendered, Renderer, render_documents
from tunesmith.text.template import Template, load_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SAMPLED = 32  # conversations whose prompts are compared with transformers' own rendering


@dataclass(slots=True)
class Examples:
    """What a tuning run learns from, and what became of every row.

    counts  rows: read, kept, refused, too_long, split; then examples, tokens, supervised tokens
    """

    examples: list[Example]
    proofs: list[Proof]
    counts: dict[str, int]
    refusals: list[Refusal]
    renderer: Renderer | None
    inputs: dict[str, str]


@dataclass(slots=True)
class Reading:
    """The records of some paths, sorted: conversations pass, documents are set aside, refusals remembered."""

    paths: tuple[str, ...]
    format: str
    read: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)

    def conversations(self) -> Iterator[Conversation]:
        for record in formats.read(self.paths, self.format):
            self.read += 1
            if isinstance(record, Refusal):
                self.refusals.append(record)
            elif isinstance(record, Document):
                self.documents.append(record)
            elif media := media_of(record):
                reason = tr("the row has {kind}; this recipe reads text", kind=media)
                self.refusals.append(Refusal(record.origin, "messages", reason, tr("leave this row out")))
            else:
                yield teachable(record)


def media_of(record: Record) -> str:
    """The kind of the first part that is no text, if there is one."""
    messages = record.messages if isinstance(record, Conversation) else ()
    return next((part.kind for message in messages for part in message.parts if part.kind != "text"), "")


def teachable(record: Record) -> Conversation:
    """The record, if supervised tuning can learn from it. Raises UserError otherwise."""
    if isinstance(record, Conversation) and record.messages[-1].role == "assistant":
        return record
    if isinstance(record, Conversation):
        raise UserError(
            tr("{origin}: a prompt without an answer teaches nothing", origin=record.origin),
            tr("give conversations that end with the assistant"),
        )
    kind = type(record).__name__
    raise UserError(
        tr("{origin}: this is a {kind}; supervised tuning learns from conversations", origin=record.origin, kind=kind),
        tr("give conversations, or keep the better answers only"),
    )


def gather(stage: Tune, tokenizer: "PreTrainedTokenizerFast", opening: tuple[int, ...] = ()) -> Examples:
    """Everything that `stage` learns from. Raises ProofError when a rule fails on any row.

    opening  the ids with which the decoder of an encoder–decoder begins; none for a causal model
    """
    if not stage.data:
        raise UserError(tr("no data given"), tr("add --data PATH (a file, a folder or a dataset id)"))
    reading = Reading(stage.data, stage.format)
    stream = reading.conversations()
    first = next(stream, None)
    if first is None:
        made = Examples([], [], {}, reading.refusals, None, {})
    else:
        template = choose_template(stage.template, tokenizer)
        renderer = Renderer(template, tokenizer, stage.thinking, stage.mask, opening)
        made = render_all(chain([first], stream), renderer, stage, reading)
    if opening and reading.documents:
        raise UserError(
            tr("{origin}: plain text has no answer for a decoder to learn", origin=reading.documents[0].origin),
            tr("give conversations, or use a causal base"),
        )
    made.examples += render_documents(reading.documents, tokenizer, stage.tune.max_length)
    if not made.examples:
        raise nothing_left(reading, made, stage)
    made.counts = count(made, reading)
    made.inputs = {path: content_hash(path) for path in stage.data}
    return made


def render_all(conversations: Iterator[Conversation], renderer: Renderer, stage: Tune, reading: Reading) -> Examples:
    """Examples of all conversations, and the proof that every rule holds on every one of them."""
    fit = Fit(renderer, stage.tune.max_length, stage.tune.overlong)
    rules = Rules(renderer, stage.mask == "everything")
    examples: list[Example] = []
    sample: list[Rendered] = []
    for item in fit(renderer.render(conversations)):
        if isinstance(item, Refusal) and item.field in RULES:
            rules.refuse(item)
        elif isinstance(item, Refusal):
            reading.refusals.append(item)
        else:
            rules.check(item)
            examples += [example for example in item.examples if any(example.weights[1:])]
            sample += [item] if len(sample) < SAMPLED else []
    proofs = [*rules.proofs(), prove_serving(renderer, sample)] if sample or rules.failed else []
    require(proofs, tr("nothing was trained; mend the row or the template, or leave the row out"))
    return Examples(examples, proofs, {"too_long": fit.dropped, "split": fit.split}, reading.refusals, renderer, {})


def choose_template(name: str, tokenizer: "PreTrainedTokenizerFast") -> Template:
    """The template that the recipe names; by default the tokenizer's own."""
    if name != "auto":
        return load_template(name)
    own = tokenizer.chat_template
    if isinstance(own, dict):
        own = own.get("default")
    if not own:
        raise UserError(
            tr("the base has no chat template of its own"),
            tr("choose one, e.g. template=chatml (or alpaca, belle, flan-t5, qwen, …)"),
        )
    return Template(tr("of the base"), own)


def count(made: Examples, reading: Reading) -> dict[str, int]:
    refused = len(made.refusals)
    too_long = made.counts.get("too_long", 0)
    return {
        "read": reading.read,
        "kept": reading.read - refused - too_long,
        "refused": refused,
        "too_long": too_long,
        "split": made.counts.get("split", 0),
        "examples": len(made.examples),
        "tokens": sum(map(len, made.examples)),
        "supervised": sum(sum(1 for weight in example.weights if weight) for example in made.examples),
    }


def nothing_left(reading: Reading, made: Examples, stage: Tune) -> UserError:
    if made.counts.get("too_long"):
        return UserError(
            tr("every row is over tune.max_length={limit} tokens", limit=stage.tune.max_length),
            tr("raise tune.max_length, or set tune.overlong=split"),
        )
    if made.refusals:
        return UserError(
            tr(
                "none of {count} records can be used; the first: {refusal}",
                count=reading.read,
                refusal=made.refusals[0],
            ),
            tr("tunesmith data inspect {path} lists them all", path=stage.data[0]),
        )
    return UserError(tr("{path} holds no records", path=", ".join(stage.data)), tr("check the path"))


def content_hash(path: str) -> str:
    """sha256 of a file or folder; a hub id stands for itself."""
    local = Path(path.partition("#")[0]).expanduser()
    return hash_path(local) if local.exists() else f"hub:{path}"
