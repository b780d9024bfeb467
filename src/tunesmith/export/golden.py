"""A few questions with the answers that an export gave when it was made, to be asked again wherever it is run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.artifact import MANIFEST, hash_file
from tunesmith.errors import UserError
from tunesmith.export.cases import Count
from tunesmith.export.subject import Subject
from tunesmith.messages import tr
from tunesmith.models.load import read_object
from tunesmith.proof import Proof
from tunesmith.records import Message, text_message

GOLDEN = "golden.json"
KEPT = 5  # logits of the likeliest first tokens of each answer
TOLERANCE = 0.1  # nats: another processor or thread count moves logits; a token that leads by less may lose its lead


def record(subject: Subject, prompts: Sequence[tuple[Message, ...]], most: int) -> dict[str, Any]:
    """What golden.json holds."""
    return {"answer_tokens": most, "prompts": [answered(subject, messages, most) for messages in prompts]}


def answered(subject: Subject, messages: tuple[Message, ...], most: int) -> dict[str, Any]:
    """One question: its ids, those of the greedy answer, by how much each led, and the first logits."""
    prompt = subject.prompt(messages)
    answer = subject.answer(prompt, most)
    logits = subject.logits([*prompt, *answer])[len(prompt) - 1 :]
    top = np.argsort(-logits[0], kind="stable")[:KEPT]
    return {
        "messages": [{"role": message.role, "content": message.text} for message in messages],
        "prompt_ids": [int(token) for token in prompt],
        "answer_ids": [int(token) for token in answer],
        "leads": [lead(row) for row in logits[: len(answer) + 1]],
        "top": {str(token): float(logits[0, token]) for token in top},
    }


def lead(logits: Any) -> float:
    """By how much the likeliest token is ahead of the next."""
    second, first = np.partition(logits, -2)[-2:]
    return round(float(first - second), 4)


def replay(subject: Subject, golden: dict[str, Any], count: Count | None = None) -> list[Proof]:
    """The same questions once more: are the ids, the answers and the first logits those that were recorded?"""
    most, asked = int(golden["answer_tokens"]), golden["prompts"]
    prompts = answers = 0
    gap = 0.0
    for done, one in enumerate(asked, start=1):
        ids = subject.prompt([text_message(message["role"], message["content"]) for message in one["messages"]])
        prompts += list(ids) == one["prompt_ids"]
        answers += same_answer(subject.answer(one["prompt_ids"], most), one)
        logits = subject.logits(one["prompt_ids"])[-1]
        gap = max(gap, *(apart(logits, int(token), value) for token, value in one["top"].items()))
        if count:
            count(done, len(asked))
    total = len(asked)
    return [
        exact(
            "golden_prompts", prompts, total, tr("{same} of {total} prompts are as recorded", same=prompts, total=total)
        ),
        exact(
            "golden_answers", answers, total, tr("{same} of {total} answers are as recorded", same=answers, total=total)
        ),
        close(gap, total),
    ]


def apart(logits: Any, token: int, recorded: float) -> float:
    """Infinite where there is no number."""
    gap = abs(float(logits[token]) - recorded) if token < len(logits) else math.inf
    return gap if gap == gap else math.inf


def same_answer(given: Sequence[int], one: dict[str, Any]) -> bool:
    """Whether the answer is the recorded one, or parts from it where two tokens were all but equally likely."""
    wanted = one["answer_ids"]
    if list(given) == wanted:
        return True
    parted = next(
        (place for place, (new, old) in enumerate(zip(given, wanted, strict=False)) if new != old),
        min(len(given), len(wanted)),
    )
    return bool(one["leads"][parted] < TOLERANCE)


def exact(name: str, same: int, total: int, detail: str) -> Proof:
    return Proof(name, same == total, total, detail, float(same), float(total))


def close(gap: float, total: int) -> Proof:
    told = tr("the logits of the likeliest tokens differ by {gap} at most", gap=f"{gap:.2e}")
    return Proof("golden_logits", gap <= TOLERANCE, total, told, gap if math.isfinite(gap) else None, TOLERANCE)


def read_golden(folder: Path) -> dict[str, Any]:
    found = read_object(folder / GOLDEN, tr("export the model again"))
    try:
        for one in found["prompts"]:
            text_message(one["messages"][0]["role"], one["messages"][0]["content"])
            if not one["prompt_ids"] or len(one["leads"]) < len(one["answer_ids"]) or not one["top"]:
                raise ValueError
        int(found["answer_tokens"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            tr("{path} holds no golden answers", path=folder / GOLDEN), tr("export the model again")
        ) from error
    return found


def contents(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file of an export save its manifest: size in bytes and sha256."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
    return {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": hash_file(file)} for file in files
    }


def unchanged(folder: Path, recorded: dict[str, dict[str, Any]]) -> Proof:
    """Whether every file is there with the content that the manifest names."""
    wrong = [name for name, known in recorded.items() if not is_same(folder, name, known)]
    told = tr("{same} of {total} files are those of the manifest", same=len(recorded) - len(wrong), total=len(recorded))
    told += f": {', '.join(wrong[:5])}" if wrong else ""
    return Proof("files", bool(recorded) and not wrong, len(recorded), told, float(len(wrong)), 0.0)


def is_same(folder: Path, name: str, known: dict[str, Any]) -> bool:
    file = folder / name
    inside = file.resolve().is_relative_to(folder.resolve())
    return inside and file.is_file() and file.stat().st_size == known["bytes"] and hash_file(file) == known["sha256"]
