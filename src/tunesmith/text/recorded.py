"""A few prompts as training wrote them, kept with the model: whoever serves it can tell that it writes the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.proof import Proof
from tunesmith.records import Message, text_message
from tunesmith.text.render import Renderer
from tunesmith.text.template import clock

ASKED = text_message("user", "Hello! 你好，世界 — 1 + 1 = ?")
PROBES = (
    (ASKED,),
    (ASKED, text_message("assistant", "Two. 二。"), text_message("user", "  And\n\ntwo more?")),
    (text_message("system", "Answer in one word. 用一个词回答。"), ASKED),
)


def recorded_prompts(renderer: Renderer) -> list[dict[str, Any]]:
    """[{"messages", "ids"}] of each probe that the template writes; none of a template that writes the time."""
    return list(_written(renderer)) if clock(renderer.template) == () else []


def _written(renderer: Renderer) -> Iterator[dict[str, Any]]:
    for probe in PROBES:
        try:
            ids = renderer.prompt(probe)
        except UserError:
            continue  # some templates know no system prompt
        yield {"messages": [{"role": message.role, "content": message.text} for message in probe], "ids": ids}


def prove_recorded(prompt: Callable[[Sequence[Message]], list[int]], record: Iterable[dict[str, Any]]) -> Proof:
    """Whether `prompt` writes the ids that training recorded."""
    checked, faults = 0, list[str]()
    for item in record:
        checked += 1
        mine = prompt([text_message(turn["role"], turn["content"]) for turn in item["messages"]])
        if mine != item["ids"]:
            faults.append(difference(mine, item["ids"]))
    detail = faults[0] if faults else tr("serving writes the prompt ids that training recorded")
    return Proof("prompts", not faults, checked, detail, len(faults), 0)


def difference(mine: Sequence[int], theirs: Sequence[int]) -> str:
    place = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    return tr(
        "serving writes other prompt ids than training recorded: from token {place} on {mine} in place of {theirs}",
        place=place,
        mine=list(mine[place : place + 5]),
        theirs=list(theirs[place : place + 5]),
    )
