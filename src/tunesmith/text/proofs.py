"""The six rules of rendering, checked on the final ids of every row and every assistant turn."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, pairwise
from typing import TYPE_CHECKING, Any

from tunesmith.batch import Example
from tunesmith.messages import tr
from tunesmith.proof import Proof
from tunesmith.records import Refusal
from tunesmith.text.guard import GUARD, guarded
from tunesmith.text.render import Rendered, Renderer, Turn
from tunesmith.text.template import as_dict
from tunesmith.text.tokenizer import decode, same_to, spelled_after

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

RULES = {
    "R1": "the ids up to each answer equal the prompt that serving sends",
    "R2": "the supervised ids decode to the answer and its end mark",
    "R3": "nothing that the prompt supplies is supervised",
    "R4": "the stop token is supervised in every answer and ends generation",
    "R5": "there is at most one BOS",
    "R6": "at least one token is supervised",
}


@dataclass(slots=True)
class Rules:
    """Counts what was checked, and keeps the first failure of each rule."""

    renderer: Renderer
    everything: bool = False
    checked: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    altered: int = 0
    first_altered: str = ""
    bos: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.bos = self.tokenizer.bos_token_id

    def check(self, rendered: Rendered) -> None:
        """Apply every rule to one rendered conversation."""
        for example, turns in zip(rendered.examples, rendered.groups, strict=True):
            for turn in turns:
                self._note("R1", rendered, turn.number, self._prompt_differs(example, turn))
                if turn.weight and not self.everything:
                    self._note("R2", rendered, turn.number, self._words_differ(rendered, example, turn))
                    self._note("R4", rendered, turn.number, self._stop_missing(example, turn))
            if not self.everything:
                self._note("R3", rendered, turns[-1].number, self._prompt_supervised(example, turns))
            self._note("R5", rendered, turns[-1].number, self._second_bos(example))
        supervised = any(any(example.weights) for example in rendered.examples)
        self._note("R6", rendered, 0, "" if supervised else tr("no token is supervised"))

    def refuse(self, refusal: Refusal) -> None:
        """Count a row that rendering found to break a rule."""
        self.checked[refusal.field] += 1
        self.failed[refusal.field] += 1
        self.first.setdefault(refusal.field, f"{refusal.origin}: {refusal.reason}")

    @property
    def tokenizer(self) -> "PreTrainedTokenizerFast":
        return self.renderer.tokenizer

    def proofs(self) -> list[Proof]:
        """One proof a rule; a rule that failed tells its first row."""
        return remarked(self.verdicts(), self.altered, self.first_altered)

    def verdicts(self) -> list[Proof]:
        """The proofs, without remarks: those of several portions can be merged."""
        return [
            Proof(
                rule,
                not self.failed[rule],
                self.checked[rule],
                self.first.get(rule) or tr(meaning),
                self.failed[rule],
                0,
            )
            for rule, meaning in RULES.items()
        ]

    def _note(self, rule: str, rendered: Rendered, message: int, fault: str) -> None:
        self.checked[rule] += 1
        if fault:
            self.failed[rule] += 1
            self.first.setdefault(rule, f"{rendered.origin} messages[{message}]: {fault}")

    def _prompt_differs(self, example: Example, turn: Turn) -> str:
        return self._first_difference(example.encoder_ids or example.ids[: len(turn.prompt)], turn.prompt)

    def _words_differ(self, rendered: Rendered, example: Example, turn: Turn) -> str:
        end = turn.start + len(turn.said)
        said = list(compress(example.ids[turn.start : end], example.weights[turn.start : end]))
        before = () if example.encoder_ids else turn.prompt
        text = spelled_after(self.tokenizer, self.renderer.control, before, said)
        if text == turn.spoken:
            return ""
        if example.encoder_ids and same_to(self.tokenizer, text, turn.spoken, self._show(example.ids[-1])):
            self.altered += 1
            self.first_altered = self.first_altered or f"{rendered.origin} messages[{turn.number}]"
            return ""
        where = next((i for i, (a, b) in enumerate(zip(text, turn.spoken, strict=False)) if a != b), len(text))
        return tr(
            "the supervised ids decode to {got!r} where the row has {expected!r}",
            got=text[where : where + 20],
            expected=turn.spoken[where : where + 20],
        )

    def _prompt_supervised(self, example: Example, turns: Sequence[Turn]) -> str:
        rest = list(example.weights)
        for turn in turns:
            rest[turn.start : turn.start + len(turn.said)] = [0.0] * len(turn.said)
        if not any(rest):
            return ""
        return tr("token {index} of the prompt is supervised", index=next(i for i, weight in enumerate(rest) if weight))

    def _stop_missing(self, example: Example, turn: Turn) -> str:
        end = turn.start + len(turn.said) - 1
        if example.ids[end] in self.renderer.stop_ids and example.weights[end]:
            return ""
        return tr("the answer ends with {token!r}, which does not stop generation", token=self._show(example.ids[end]))

    def _second_bos(self, example: Example) -> str:
        """Two BOS together. A template may write one a turn; it is then in the prompt that serving sends."""
        bos = self.bos
        if bos is None or example.ids.count(bos) + example.encoder_ids.count(bos) < 2:
            return ""
        if bos in self.renderer.stop_ids:
            return ""
        doubled = [
            i for ids in (example.encoder_ids, example.ids) for i, (a, b) in enumerate(pairwise(ids)) if a == b == bos
        ]
        return tr("a second BOS at token {index}", index=doubled[0] + 1) if doubled else ""

    def _first_difference(self, mine: Sequence[int], theirs: Sequence[int]) -> str:
        if mine == theirs:
            return ""
        for index, (a, b) in enumerate(zip(mine, theirs, strict=False)):
            if a != b:
                return tr(
                    "token {index} is {mine!r} in training and {theirs!r} in serving",
                    index=index,
                    mine=self._show(a),
                    theirs=self._show(b),
                )
        return tr("the prompt of training is shorter than that of serving")

    def _show(self, token: int) -> str:
        return decode(self.tokenizer, [token])


def prove_serving(renderer: Renderer, sample: Sequence[Rendered]) -> Proof:
    """Whether transformers' own apply_chat_template, with the template that is saved, sends the same prompts."""
    checked, faults = 0, []
    for rendered, turn, theirs in served(renderer, sample):
        checked += 1
        if list(turn.prompt) != theirs:
            faults.append(f"{rendered.origin} messages[{turn.number}]")
    detail = tr("transformers' apply_chat_template sends the same prompt ids")
    if faults:
        detail = tr("apply_chat_template sends other ids than training has, first at {origin}", origin=faults[0])
    return Proof("serving", not faults, checked, detail, len(faults), 0)


def served(renderer: Renderer, sample: Sequence[Rendered]) -> Iterator[tuple[Rendered, Turn, list[int]]]:
    """Each turn of the sample with the ids that apply_chat_template sends for it."""
    for rendered in sample:
        for turn in (turn for group in rendered.groups for turn in group):
            message = rendered.conversation.messages[turn.number]
            dialect = renderer.dialect(bool(message.thinking) and renderer.thinking == "keep")
            before = rendered.conversation.messages[: turn.number]
            safe = guarded(before, renderer.control, renderer.thinking == "keep")
            if any(GUARD in message.text for message in safe):
                continue  # transformers would take control tokens in a person's words for real ones
            switches: dict[str, Any] = {name: value for name, value in dialect.context if isinstance(value, bool)}
            theirs: Any = renderer.tokenizer.apply_chat_template(
                [as_dict(message, dialect.style) for message in safe],
                tools=list(rendered.conversation.tools) or dict(dialect.context)["tools"],
                chat_template=renderer.chat_template,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=False,
                **switches,
            )
            yield rendered, turn, list(theirs)


def remarked(proofs: Sequence[Proof], altered: int, first: str) -> list[Proof]:
    """The proofs; R2 tells besides how many answers the tokenizer alters, where it knows no line break, say."""
    remark = tr("; {count} as the tokenizer alters them, first {origin}", count=altered, origin=first)
    return [
        replace(proof, detail=proof.detail + remark) if altered and proof.passed and proof.name == "R2" else proof
        for proof in proofs
    ]
