"""Conversation → examples, each answer behind exactly the prompt that serving would send for it.

For every assistant turn the prompt is written and tokenized as serving does it, before the answer exists;
the answer is tokenized as its continuation. Turns whose prompts extend one another share one example;
where a template writes earlier turns otherwise later, each turn becomes an example of its own.

For an encoder–decoder each turn is an example of its own: the encoder reads the prompt, the decoder says the
answer, which is tokenized as a text of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from tunesmith.batch import Example
from tunesmith.errors import ProofError, UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation, Document, Message, Origin, Refusal
from tunesmith.text.dialect import Dialect, learn_dialect
from tunesmith.text.guard import guarded, unguarded
from tunesmith.text.mask import MASKS
from tunesmith.text.pieces import Seams, encode_pieces, learn_seams
from tunesmith.text.template import Template
from tunesmith.text.tokenizer import (
    add_control_tokens,
    control_tokens,
    encode,
    encode_after,
    spelled_after,
    unknown_id,
    unwritable,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK = 512  # conversations tokenized at once


@dataclass(frozen=True, slots=True)
class Turn:
    """One assistant turn: the prompt that serving sends, and what is learnt after it.

    number  index of the message     prompt  ids of the prompt
    said    ids of the answer and its end mark
    answer  the words of the answer, as the template writes them
    spoken  what `said` must decode to: white space that the template puts first, the answer, its end mark
    weight  of every token of `said` as a target
    start   place of `said` in its example's ids
    """

    number: int
    prompt: tuple[int, ...]
    said: tuple[int, ...]
    answer: str
    spoken: str
    weight: float
    start: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """The examples of one conversation; groups[i] are the assistant turns that examples[i] carries."""

    conversation: Conversation
    examples: tuple[Example, ...]
    groups: tuple[tuple[Turn, ...], ...]

    @property
    def origin(self) -> Origin:
        return self.conversation.origin


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts of one assistant turn, before they are tokenized."""

    number: int
    prompt: str
    answer: str
    spoken: str


@dataclass(slots=True)
class Renderer:
    """A template and a tokenizer that writes it. Control tokens that the tokenizer lacks are added to it.

    thinking  "keep": answers with thinking of their own are learnt with it; "none": it is left out
    mask      a name in mask.MASKS, or "everything"
    opening   the ids with which the decoder of an encoder–decoder begins; none for a causal model
    added     the control tokens that were added
    control   text → id of all control tokens; the tokenizer is not to be given others later
    unknown   the id for what the tokenizer cannot write, if it has one
    end       the tokenizer's end of text, if it has one
    """

    template: Template
    tokenizer: "PreTrainedTokenizerFast"
    thinking: str = "keep"
    mask: str = "answers"
    opening: tuple[int, ...] = ()
    added: tuple[str, ...] = ()
    control: dict[str, int] = field(default_factory=dict)
    unknown: int | None = None
    end: str | None = None
    _dialects: dict[bool, Dialect] = field(default_factory=dict)
    _seams: Seams = field(init=False)

    def __post_init__(self) -> None:
        if self.opening and self.mask == "everything":
            raise UserError(
                tr("mask=everything: nothing in an encoder–decoder predicts the prompt, which its encoder reads"),
                tr("set mask=answers, or use a causal base"),
            )
        dialect = self._first_dialect()
        self.added = add_control_tokens(self.tokenizer, [*self.template.control_tokens, dialect.mark])
        self.control = control_tokens(self.tokenizer)
        self.unknown = unknown_id(self.tokenizer)
        self.end = self.tokenizer.eos_token
        self._seams = learn_seams(self.tokenizer.backend_tokenizer)

    def _first_dialect(self) -> Dialect:
        """The dialect for plain answers; of a template that only takes answers with thinking, that for those."""
        try:
            return learn_dialect(self.template, self.tokenizer, thinking=False)
        except UserError as plain:
            if self.thinking == "none":
                raise
            try:
                return learn_dialect(self.template, self.tokenizer, thinking=True)
            except UserError:
                raise plain from None

    def dialect(self, thinking: bool = False) -> Dialect:
        """How the template is spoken to, for answers with or without thinking."""
        if thinking not in self._dialects:
            self._dialects[thinking] = learn_dialect(self.template, self.tokenizer, thinking)
        return self._dialects[thinking]

    @property
    def ways(self) -> tuple[bool, ...]:
        """For which answers the dialect is known, in the order learnt: without thinking, with thinking."""
        return tuple(self._dialects)

    def learn(self, ways: Iterable[bool]) -> None:
        """Know the dialects as a renderer does that has these `ways`."""
        for thinking in ways:
            self.dialect(thinking)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids at which generation ends: end marks of the template, and the tokenizer's end of text."""
        marks = [dialect.mark for dialect in self._dialects.values()] or [self.dialect().mark]
        ends = [*marks, self.end] if self.end else marks
        return tuple(dict.fromkeys(self.control[token] for token in ends))

    @property
    def added_ids(self) -> tuple[int, ...]:
        """Ids of the control tokens that were added."""
        return tuple(self.control[token] for token in self.added)

    @property
    def chat_template(self) -> str:
        """The Jinja source to save with the model.

        Where a server passes nothing, the switches are set as in training, and special tokens that the
        tokenizer lacks are empty.
        """
        read = self.template.variables
        defaults = {
            name: value
            for name, value in self.dialect().context
            if name in read and (isinstance(value, bool) or value == "")
        }
        return "".join(default_jinja(name, value) for name, value in defaults.items()) + self.template.source

    def prompt(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), thinking: bool = False
    ) -> list[int]:
        """The ids that serving sends to have `messages` answered."""
        safe = guarded(messages, self.control)
        return encode(self.tokenizer, [self.dialect(thinking).prompt(self.template, safe, tuple(tools))])[0]

    def render(self, conversations: Iterable[Conversation]) -> Iterator[Rendered | Refusal]:
        """Render in order; a conversation that the template cannot write becomes a Refusal."""
        stream = iter(conversations)
        while chunk := list(islice(stream, CHUNK)):
            drafts = [self._draft(conversation) for conversation in chunk]
            texts = [
                text
                for draft in drafts
                if not isinstance(draft, Refusal)
                for turn in draft
                for text in (turn.prompt, turn.spoken if self.opening else turn.prompt + turn.spoken)
            ]
            ids = iter(encode_pieces(self.tokenizer, self._seams, texts))
            for conversation, draft in zip(chunk, drafts, strict=True):
                if isinstance(draft, Refusal):
                    yield draft
                else:
                    yield self._assemble(conversation, [(turn, next(ids), next(ids)) for turn in draft])

    def _draft(self, conversation: Conversation) -> list[Draft] | Refusal:
        """The texts of every assistant turn."""
        messages = guarded(conversation.messages, self.control, thinking=self.thinking == "keep")
        try:
            require_unicode(messages)
            return [
                draft_turn(self.template, self.dialect(bool(message.thinking)), messages, number, conversation.tools)
                for number, message in enumerate(messages)
                if message.role == "assistant"
            ]
        except ProofError as error:
            return Refusal(conversation.origin, "R2", error.message, error.cure)
        except UserError as error:
            return Refusal(conversation.origin, "messages", error.message, error.cure)

    def _assemble(
        self, conversation: Conversation, drafts: list[tuple[Draft, list[int], list[int]]]
    ) -> Rendered | Refusal:
        turns: list[Turn] = []
        for draft, prompt, ids in drafts:
            said = ids if self.opening else continuation(self.tokenizer, self.control, draft.spoken, prompt, ids)
            if said is None:
                reason = tr("the tokenizer cannot write the answer apart from its prompt")
                return Refusal(conversation.origin, "R1", reason, tr("leave this row out"))
            if fault := self._fault(draft, prompt, said):
                return Refusal(conversation.origin, "messages", fault, tr("leave this row out, or use another base"))
            weight = 1.0 if self.mask == "everything" else MASKS[self.mask](draft.number, conversation)
            answer, spoken = unguarded(draft.answer), unguarded(draft.spoken)
            start = len(self.opening or prompt)
            turns.append(Turn(draft.number, tuple(prompt), tuple(said), answer, spoken, weight, start))
        return self._rendered(conversation, turns)

    def _fault(self, draft: Draft, prompt: list[int], said: list[int]) -> str:
        """What keeps a turn from being learnt; empty if nothing does."""
        if self.opening and not prompt:
            return tr("the tokenizer writes nothing for the prompt of answer {number}", number=draft.number)
        if self.unknown is not None and self.unknown in said:
            missing = unwritable(self.tokenizer, draft.spoken)
            return tr("the tokenizer has no token for {text!r} in answer {number}", text=missing, number=draft.number)
        return ""

    def _rendered(self, conversation: Conversation, turns: list[Turn]) -> Rendered:
        if self.opening:
            apart = tuple(answer_example(turn, self.opening, conversation.origin) for turn in turns)
            return Rendered(conversation, apart, tuple((turn,) for turn in turns))
        groups, whole = tuple(share_prefixes(turns)), self.mask == "everything"
        return Rendered(conversation, tuple(example(group, conversation.origin, whole) for group in groups), groups)


def require_unicode(messages: Sequence[Message]) -> None:
    """Raise UserError where half of a surrogate pair stands in the words: no tokenizer can read it."""
    for number, message in enumerate(messages):
        try:
            (message.text + message.thinking).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                tr(
                    "message {number} holds half of a surrogate pair, at character {place}",
                    number=number,
                    place=error.start,
                ),
                tr("leave this row out"),
            ) from error


def default_jinja(name: str, value: bool | str) -> str:
    """Jinja that sets a variable which the caller left out."""
    literal = repr(value).lower() if isinstance(value, bool) else repr(value)
    return f"{{%- if {name} is not defined -%}}{{%- set {name} = {literal} -%}}{{%- endif -%}}"


def draft_turn(
    template: Template, dialect: Dialect, messages: tuple[Message, ...], number: int, tools: tuple[dict[str, Any], ...]
) -> Draft:
    """The prompt of turn `number`, and what the template writes for its answer up to the end mark."""
    prompt = dialect.prompt(template, messages[:number], tools)
    whole = dialect.text(template, messages[: number + 1], tools)
    message = messages[number]
    follows = whole.startswith(prompt)
    if message.thinking or message.tool_calls:
        if not follows:
            raise UserError(tr("the template writes another prompt before an answer with thinking or tool calls"))
        answer = cut_at_mark(whole[len(prompt) :], dialect)
        return Draft(number, prompt, answer, answer + dialect.close)
    source = whole[len(prompt) :] if follows else whole
    written = "" if dialect.added else dialect.close
    answers = [form for form in (message.text, message.text.strip()) if form + written in source]
    if not answers:
        raise ProofError(
            tr("the template changes the words of answer {number}", number=number), tr("leave this row out")
        )
    return Draft(number, prompt, answers[0], dialect.gap + answers[0] + dialect.close)


def cut_at_mark(rest: str, dialect: Dialect) -> str:
    """The answer at the start of `rest`, without what closes it."""
    end = len(rest.rstrip()) if dialect.added else rest.rfind(dialect.close)
    if end < 0:
        raise UserError(tr("the template writes no end mark {mark!r} after this answer", mark=dialect.mark))
    return rest[:end]


def continuation(
    tokenizer: "PreTrainedTokenizerFast", control: Mapping[str, int], spoken: str, prompt: list[int], joined: list[int]
) -> list[int] | None:
    """Ids of `spoken` after `prompt`: as the tokenizer splits both together where that leaves the prompt as
    serving sends it and adds no dummy space, else as it splits the answer alone. None where it can do neither."""
    together = joined[len(prompt) :] if joined[: len(prompt)] == prompt else []
    if together and spelled_after(tokenizer, control, prompt, together) == unguarded(spoken):
        return together
    return encode_after(tokenizer, spoken) or together or None


def share_prefixes(turns: Iterable[Turn]) -> Iterator[tuple[Turn, ...]]:
    """Group consecutive turns whose prompts begin with all that came before."""
    group: list[Turn] = []
    for turn in turns:
        if group:
            before = group[-1].prompt + group[-1].said
            if turn.prompt[: len(before)] != before:
                yield tuple(group)
                group = []
        group.append(turn)
    if group:
        yield tuple(group)


def example(turns: tuple[Turn, ...], origin: Origin, whole: bool = False) -> Example:
    """One sequence that holds all of `turns`; with `whole`, every token is a target."""
    ids = turns[-1].prompt + turns[-1].said
    if whole:
        return Example(ids, (0.0,) + (1.0,) * (len(ids) - 1), origin)
    weights = [0.0] * len(ids)
    for turn in turns:
        weights[turn.start : turn.start + len(turn.said)] = [turn.weight] * len(turn.said)
    return Example(ids, tuple(weights), origin)


def answer_example(turn: Turn, opening: tuple[int, ...], origin: Origin) -> Example:
    """The prompt for the encoder, and the answer for the decoder, which begins with the opening."""
    weights = (0.0,) * len(opening) + (turn.weight,) * len(turn.said)
    return Example(opening + turn.said, weights, origin, encoder_ids=turn.prompt)


def render_documents(
    documents: Iterable[Document], tokenizer: "PreTrainedTokenizerFast", max_length: int
) -> Iterator[Example]:
    """Plain text, every token a target, closed by the end of text; long texts go on in the next example."""
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    stream = iter(documents)
    while chunk := list(islice(stream, CHUNK)):
        for document, ids in zip(chunk, encode(tokenizer, [document.text for document in chunk]), strict=True):
            ids = ids + end
            for start in range(0, len(ids), max_length):
                piece = tuple(ids[start : start + max_length])
                if len(piece) > 1:
                    yield Example(piece, (0.0,) + (1.0,) * (len(piece) - 1), document.origin)
