"""Preference pairs: a prompt with `chosen` and `rejected`, as strings, as message lists, or beside a conversation."""

from typing import Any

from tunesmith.formats import alpaca, media, openai, sharegpt
from tunesmith.formats.fields import mapping, provenance, tags, text
from tunesmith.formats.pairs import compared
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, ordered, said
from tunesmith.messages import tr
from tunesmith.records import Comparison, Message, Record

BETTER = ("chosen", "chosen_messages", "response_j", "chosen_response")
WORSE = ("rejected", "rejected_messages", "response_k", "rejected_response")
PROMPTS = ("prompt", "question", "query", "input")
VERDICTS = ("preference", "label")
Turns = list[tuple[str, Message]]


def matches(row: Row) -> bool:
    return isinstance(row.value, dict) and (paired(row.value) is not None or judged(row.value))


def paired(value: dict[str, Any]) -> tuple[str, str] | None:
    """The two fields named for the better and the worse answer."""
    return next(((a, b) for a, b in zip(BETTER, WORSE, strict=True) if a in value or b in value), None)


def judged(value: dict[str, Any]) -> bool:
    """Whether two outputs come with a verdict which one is better."""
    return "output_1" in value and "output_2" in value and any(key in value for key in VERDICTS)


def verdict_keys(value: dict[str, Any]) -> tuple[str, str]:
    """output_1 and output_2, in the order of the verdict (1 or 2)."""
    key = next(key for key in VERDICTS if key in value)
    if isinstance(value[key], bool) or value[key] not in (1, 2):
        raise Fault(key, tr("is neither 1 nor 2, so that neither output is preferred"), tr("remove the pair"))
    return ("output_1", "output_2") if value[key] == 1 else ("output_2", "output_1")


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    better, worse = paired(value) or (verdict_keys(value) if judged(value) else (BETTER[0], WORSE[0]))
    asked = prompt(value)
    given = media.sources(value)
    chosen, rejected = (
        media.place(ordered(whole(asked, answered(value.get(key), key))), given) for key in (better, worse)
    )
    before, preferred, other = compared(chosen, rejected)
    return [Comparison(before, preferred, other, row.origin, **provenance(value), tags=tags(value))]


def prompt(value: dict[str, Any]) -> Turns:
    """The turns before the two answers; none where these are whole conversations."""
    for module in (sharegpt, openai):
        key = module.list_key(value)
        if value.get(key) and PROMPTS[0] not in value:
            above = [("system", message) for message in alpaca.system(value)]
            return above + listed(value[key], key)
    if "instruction" in value:
        return [("instruction", message) for message in alpaca.prompt(value)]
    key = next((key for key in PROMPTS if value.get(key)), "")
    above = [("system", message) for message in alpaca.system(value)]
    return above + openai.plain(value[key], key) if key else above


def listed(turns: Any, field: str) -> Turns:
    """Turns in either spelling of a message list."""
    named = isinstance(turns, list) and turns and isinstance(turns[0], dict) and "from" in turns[0]
    return sharegpt.taken(turns, field) if named else openai.taken(turns, field)


def answered(value: Any, field: str) -> Turns:
    """An answer: text, one message, or a list of messages."""
    if isinstance(value, dict):
        return [(f"{where.removesuffix('.value')}", message) for where, message in listed([value], field)]
    if isinstance(value, list):
        return listed(value, field)
    return [(field, said("assistant", ("", text(value, field))))]


def whole(asked: Turns, answer: Turns) -> Turns:
    """Prompt and answer together; an answer that repeats the prompt already is the whole conversation."""
    if len(answer) > 1 and answer[0][1].role != "assistant":
        return answer
    return asked + answer


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Comparison):
        raise cannot_write("preference", record)
    parts = (("prompt", record.prompt), ("chosen", record.chosen), ("rejected", record.rejected))
    row: dict[str, Any] = {name: [openai.written(message) for message in messages] for name, messages in parts}
    row |= {key: words for key, words in (("license", record.licence), ("generator", record.generator)) if words}
    return dict(record.tags) | row
