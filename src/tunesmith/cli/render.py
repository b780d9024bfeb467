"""tunesmith render: one row as the model will read it, token by token."""

from itertools import groupby, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli.console import emit, human
from tunesmith.errors import ProofError, UserError
from tunesmith.messages import tr

if TYPE_CHECKING:
    from tunesmith.records import Conversation
    from tunesmith.text.render import Rendered, Renderer

EXAMPLES = tr(
    "Example: tunesmith render rows.json --model nano --template chatml --index 3  |  "
    "tunesmith render rows.json --tokenizer tokenizer.model --template vicuna-v1.1 --json"
)


def render(
    path: Annotated[str, typer.Argument(help=tr("Data: a file, folder or dataset id."))],
    model: Annotated[
        str | None, typer.Option("--model", help=tr("Model folder, hub id, or nano: its tokenizer is used."))
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option("--tokenizer", help=tr("A tokenizer.json, a SentencePiece tokenizer.model, or a folder.")),
    ] = None,
    template: Annotated[
        str, typer.Option("--template", help=tr("Shipped template or .jinja file; auto: the tokenizer's own."))
    ] = "auto",
    index: Annotated[int, typer.Option("--index", min=0, help=tr("Which conversation, from 0."))] = 0,
    format: Annotated[
        str, typer.Option("--format", help=tr("How the data is stored, if not detected rightly."))
    ] = "auto",
    thinking: Annotated[
        str, typer.Option("--thinking", help=tr("keep or none: what becomes of the row's own thinking."))
    ] = "keep",
    mask: Annotated[str, typer.Option("--mask", help=tr("answers, last_answer or everything."))] = "answers",
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    from tunesmith.models.load import load_tokenizer
    from tunesmith.models.opening import opening_of
    from tunesmith.stages.examples import choose_template
    from tunesmith.text.proofs import Rules
    from tunesmith.text.render import Renderer

    for value, allowed in ((thinking, ("keep", "none")), (mask, ("answers", "last_answer", "everything"))):
        if value not in allowed:
            raise UserError(
                tr("{value!r} is not known", value=value), tr("use one of {names}", names=", ".join(allowed))
            )
    if (model is None) == (tokenizer is None):
        raise UserError(tr("give either --model or --tokenizer"), tr("e.g. --model nano"))
    conversation = nth_conversation(path, format, index)
    loaded = load_tokenizer(model or tokenizer or "")
    opening = opening_of(model) if model else ()
    renderer = Renderer(choose_template(template, loaded), loaded, thinking, mask, opening)
    rendered = whole(renderer, conversation)
    rules = Rules(renderer, mask == "everything")
    rules.check(rendered)
    found = describe(renderer, rendered) | {"proofs": [proof.to_json() for proof in rules.proofs()]}
    emit(found) if json else show(renderer, rendered, found)
    failed = [proof for proof in rules.proofs() if not proof.passed]
    if failed:
        raise ProofError(
            "; ".join(f"{proof.name}: {proof.detail}" for proof in failed), tr("mend the row or the template")
        )


def nth_conversation(path: str, format: str, index: int) -> "Conversation":
    """The conversation number `index` that can be used; raises UserError when there are fewer."""
    from tunesmith import formats
    from tunesmith.records import Refusal
    from tunesmith.stages.reading import teachable

    kept = (record for record in formats.read([path], format) if not isinstance(record, Refusal))
    record = next(islice(kept, index, None), None)
    if record is None:
        raise UserError(
            tr("{path} has no usable record number {index}", path=path, index=index),
            tr("tunesmith data inspect {path} counts them", path=path),
        )
    return teachable(record)


def whole(renderer: "Renderer", conversation: "Conversation") -> "Rendered":
    from tunesmith.records import Refusal
    from tunesmith.text.proofs import RULES

    (rendered,) = renderer.render([conversation])
    if isinstance(rendered, Refusal):
        kind = ProofError if rendered.field in RULES else UserError
        raise kind(f"{rendered.origin} {rendered.field}: {rendered.reason}", rendered.cure)
    return rendered


def describe(renderer: "Renderer", rendered: "Rendered") -> dict[str, Any]:
    """The row as JSON: `ids`, `supervised` and `text` of the example with the last turn; `examples` has all.

    `encoder_ids` and `encoder_text` are what an encoder–decoder reads the prompt from; empty for a causal model.
    """
    from tunesmith.text.tokenizer import decode

    examples: list[dict[str, Any]] = [
        {
            "ids": list(example.ids),
            "supervised": [bool(weight) for weight in example.weights],
            "text": decode(renderer.tokenizer, example.ids),
            "encoder_ids": list(example.encoder_ids),
            "encoder_text": decode(renderer.tokenizer, example.encoder_ids),
            "answers": [turn.answer for turn in turns],
        }
        for example, turns in zip(rendered.examples, rendered.groups, strict=True)
    ]
    return {
        **examples[-1],
        "answers": [answer for example in examples for answer in example["answers"]],
        "examples": examples,
        "origin": str(rendered.origin),
        "template": renderer.template.name,
        "stop_ids": list(renderer.stop_ids),
        "added_tokens": list(renderer.added),
    }


def show(renderer: "Renderer", rendered: "Rendered", found: dict[str, Any]) -> None:
    """The text in colour: learnt, or only read."""
    from rich.console import Console
    from rich.text import Text

    from tunesmith.text.tokenizer import decode

    page = Console(highlight=False)
    for number, example in enumerate(rendered.examples, start=1):
        text = Text(decode(renderer.tokenizer, example.encoder_ids), style="dim")
        shown = 0
        for learning, run in groupby(range(len(example.ids)), key=lambda i: bool(example.weights[i])):
            written = decode(renderer.tokenizer, example.ids[: max(run) + 1])
            text.append(written[shown:], style="black on green" if learning else "dim")
            shown = len(written)
        learnt = sum(1 for weight in example.weights if weight)
        title = tr(
            "example {number} of {total}: {tokens} tokens, {learnt} supervised",
            number=number,
            total=len(rendered.examples),
            tokens=len(example),
            learnt=learnt,
        )
        page.print(title, style="bold", markup=False)
        page.print(text)
    for proof in found["proofs"]:
        human().print(
            f"{'✓' if proof['passed'] else '✗'} {proof['name']}  {proof['detail']}  ({proof['checked']})", markup=False
        )


render.__doc__ = tr("Show one row as the model reads it, what is supervised, and the rules that were checked.")
