"""Data → proven examples: read, render, fit, and check every rule on every row."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.batch import Example
from tunesmith.data import cache, key
from tunesmith.data.inputs import Inputs, take
from tunesmith.data.portion import Portion, merge
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.proof import Proof, require
from tunesmith.recipe import Tune
from tunesmith.records import Conversation, Document, Refusal
from tunesmith.stages.reading import Reading
from tunesmith.text.length import Fit
from tunesmith.text.proofs import RULES, Rules, prove_serving, remarked
from tunesmith.text.render import Rendered, Renderer, render_documents
from tunesmith.text.template import Template, load_template, moment

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SAMPLED = 32  # conversations of each portion whose prompts are compared with transformers' own rendering


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


def gather(
    stage: Tune, tokenizer: "PreTrainedTokenizerFast", say: Callable[[str], None], opening: tuple[int, ...] = ()
) -> Examples:
    """Everything that `stage` learns from, from the cache as far as it is there; `say` tells of that.

    `opening` are the ids with which the decoder of an encoder–decoder begins; none for a causal model.
    Raises ProofError when a rule fails on any row.
    """
    if not stage.data:
        raise UserError(tr("no data given"), tr("add --data PATH (a file, a folder or a dataset id)"))
    inputs = take(stage.data)
    entry = find_entry(stage, inputs, tokenizer, say, opening)
    preparation = Preparation(stage, tokenizer, opening)
    portions = entry.whole() if entry else None
    if portions is None:
        portions = list(prepare(preparation, inputs, entry))
    whole = merge(portions)
    preparation.recall(whole)
    require(whole.proofs, tr("nothing was trained; mend the row or the template, or leave the row out"))
    if not whole.examples:
        raise nothing_left(whole, stage)
    return Examples(
        list(whole.examples),
        remarked(whole.proofs, whole.altered, whole.first_altered),
        count(whole),
        list(whole.refusals),
        preparation.renderer,
        inputs.hashes,
    )


def find_entry(
    stage: Tune,
    inputs: Inputs,
    tokenizer: "PreTrainedTokenizerFast",
    say: Callable[[str], None],
    opening: tuple[int, ...] = (),
) -> cache.Cache | None:
    """Where the portions are kept; None where nobody can tell what they depend on."""
    if not inputs.local:
        return None
    try:
        template = choose_template(stage.template, tokenizer)
        now = moment(template)
    except UserError:
        template, now = None, ()  # plain text needs none, and for anything else it is an error that rendering tells
    if now is None:
        say(tr("the template writes other words at other times: the examples are not kept in the token cache"))
        return None
    found = cache.entry(key.ingredients(stage, inputs, tokenizer, template, opening), say)
    if found:
        found.begin()
    return found


def prepare(preparation: "Preparation", inputs: Inputs, entry: cache.Cache | None) -> Iterator[Portion]:
    """Every portion: from the entry where it is there, else made and kept. Raises UserError where a file changes."""
    reading = Reading(preparation.stage.data, preparation.stage.format)
    number = -1
    if entry and entry.kept():
        entry.say(tr("going on from the token cache: {count} portions were made before", count=entry.kept()))
    for number, records in enumerate(reading.portions()):
        read, refusals = reading.take()
        portion = entry.load(number) if entry else None
        if portion is None:
            portion = preparation.make(records, read, refusals)
            inputs.refuse_touched()
            if entry and still_fits(entry, preparation.renderer):
                entry.store(number, portion)
        else:
            preparation.recall(portion)
        yield portion
    inputs.refuse_changed()
    if entry:
        entry.complete(number + 1)


def still_fits(entry: cache.Cache, renderer: Renderer | None) -> bool:
    """Whether what was just made belongs to the entry; not so where the template writes the time, and it has moved."""
    entry.writing &= renderer is None or moment(renderer.template) == entry.parts["moment"]
    return entry.writing


@dataclass(slots=True)
class Preparation:
    """Makes examples of records. The template is looked for when the first conversation comes."""

    stage: Tune
    tokenizer: "PreTrainedTokenizerFast"
    opening: tuple[int, ...] = ()
    renderer: Renderer | None = None

    def make(
        self, records: Sequence[Conversation] | Sequence[Document], read: int, refusals: Sequence[Refusal]
    ) -> Portion:
        """The examples of `records`, and the proof that every rule holds on every one of them."""
        conversations = [record for record in records if isinstance(record, Conversation)]
        documents = [record for record in records if isinstance(record, Document)]
        if conversations:
            with collecting_nothing():
                return self._render(conversations, read, refusals)
        if documents and self.opening:
            raise UserError(
                tr("{origin}: plain text has no answer for a decoder to learn", origin=documents[0].origin),
                tr("give conversations, or use a causal base"),
            )
        made = render_documents(documents, self.tokenizer, self.stage.tune.max_length)
        return Portion(list(made), refusals, read=read)

    def _render(self, conversations: Sequence[Conversation], read: int, refusals: Sequence[Refusal]) -> Portion:
        renderer = self._renderer()
        fit = Fit(renderer, self.stage.tune.max_length, self.stage.tune.overlong)
        rules = Rules(renderer, self.stage.mask == "everything")
        refused, examples, sample = list(refusals), list[Example](), list[Rendered]()
        for item in fit(renderer.render(conversations)):
            if isinstance(item, Refusal) and item.field in RULES:
                rules.refuse(item)
            elif isinstance(item, Refusal):
                refused.append(item)
            else:
                rules.check(item)
                examples += [example for example in item.examples if any(example.weights[1:])]
                sample += [item] if len(sample) < SAMPLED else []
        proofs = [*rules.verdicts(), prove_serving(renderer, sample)] if sample or rules.failed else []
        return Portion(
            examples,
            refused,
            proofs,
            read=read,
            conversations=len(conversations),
            too_long=fit.dropped,
            split=fit.split,
            ways=renderer.ways,
            altered=rules.altered,
            first_altered=rules.first_altered,
        )

    def recall(self, portion: Portion) -> None:
        """Know what making `portion` would have taught."""
        if portion.conversations:
            self._renderer().learn(portion.ways)

    def _renderer(self) -> Renderer:
        if self.renderer is None:
            template = choose_template(self.stage.template, self.tokenizer)
            self.renderer = Renderer(template, self.tokenizer, self.stage.thinking, self.stage.mask, self.opening)
        return self.renderer


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """No search for cyclic garbage where none is made: among many examples it takes a tenth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


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


def count(made: Portion) -> dict[str, int]:
    return {
        "read": made.read,
        "kept": made.read - len(made.refusals) - made.too_long,
        "refused": len(made.refusals),
        "too_long": made.too_long,
        "split": made.split,
        "examples": len(made.examples),
        "tokens": sum(map(len, made.examples)),
        "supervised": sum(len(example) - example.weights.count(0.0) for example in made.examples),
    }


def nothing_left(made: Portion, stage: Tune) -> UserError:
    if made.too_long and stage.tune.overlong == "split":
        return UserError(
            tr("in every row each round alone is over tune.max_length={limit} tokens", limit=stage.tune.max_length),
            tr("raise tune.max_length"),
        )
    if made.too_long:
        return UserError(
            tr("every row is over tune.max_length={limit} tokens", limit=stage.tune.max_length),
            tr("raise tune.max_length, or set tune.overlong=split"),
        )
    if made.refusals:
        return UserError(
            tr("none of {count} records can be used; the first: {refusal}", count=made.read, refusal=made.refusals[0]),
            tr("tunesmith data inspect {path} lists them all", path=stage.data[0]),
        )
    return UserError(tr("{path} holds no records", path=", ".join(stage.data)), tr("check the path"))
