"""How far a model in another form is from the model that it was made of.

Both read the same conversations and answer the same prompts. What is compared is what decides the next token, in
float64 where sums are taken, and only at the places of answers: what a model thinks of a prompt is never used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunesmith.evaluate.statistics import Change, mcnemar, mean_interval, share
from tunesmith.export.cases import Case, Count
from tunesmith.export.settings import Limits
from tunesmith.export.subject import Subject
from tunesmith.messages import tr
from tunesmith.proof import Proof

ROWS = 64  # places whose chances are held in float64 at once
NEVER = 1e-5  # chance of a word that is as good as none
CHANCE = 0.05  # a score that falls with at least this chance of it being luck is not held against the export


@dataclass(frozen=True, slots=True)
class Reading:
    """One case as both read it: the model before, its new form after.

    divergences  at each place of the answer, in nats     losses  summed over those places, before and after
    same         places where both find the same token likeliest
    answers      greedy, before and after     right  whether they are the only right one; None where there is none
    """

    prompts_equal: bool
    words_equal: bool
    gap: float
    divergences: NDArray[np.float64]
    losses: tuple[float, float]
    same: int
    answers: tuple[list[int], list[int]]
    right: tuple[bool, bool] | None

    @property
    def loss_change(self) -> float:
        """In nats a token."""
        return (self.losses[1] - self.losses[0]) / len(self.divergences)


def compare(
    reference: Subject,
    exported: Subject,
    cases: Sequence[Case],
    limits: Limits,
    answer_tokens: int = 48,
    count: Count | None = None,
) -> list[Proof]:
    """Every measure, with its verdict."""
    return judge(read_both(reference, exported, cases, answer_tokens, count), limits)


def read_both(
    reference: Subject, exported: Subject, cases: Sequence[Case], answer_tokens: int, count: Count | None = None
) -> list[Reading]:
    found = []
    for done, case in enumerate(cases, start=1):
        found.append(read(reference, exported, case, answer_tokens))
        if count:
            count(done, len(cases))
    return found


def read(reference: Subject, exported: Subject, case: Case, answer_tokens: int) -> Reading:
    ids = [*case.prompt, *case.said]
    before, after = (predictions(subject, ids, len(case.said)) for subject in (reference, exported))
    width = min(before.shape[1], after.shape[1])
    divergences, losses, same = chances(before, after, case.said)
    answers = reference.answer(case.prompt, answer_tokens), exported.answer(case.prompt, answer_tokens)
    right = None if case.right is None else (tuple(answers[0]) == case.right, tuple(answers[1]) == case.right)
    return Reading(
        prompts_equal=list(reference.prompt(case.messages)) == list(exported.prompt(case.messages)),
        words_equal=all(
            list(reference.tokenize(message.text)) == list(exported.tokenize(message.text)) for message in case.messages
        ),
        gap=float(np.abs(before[:, :width] - after[:, :width]).max()),
        divergences=divergences,
        losses=losses,
        same=same,
        answers=answers,
        right=right,
    )


def predictions(subject: Subject, ids: Sequence[int], count: int) -> NDArray[np.float32]:
    """[count, V]: the logits from which each of the last `count` ids would have been drawn."""
    return subject.logits(ids)[-count - 1 : -1]


def chances(
    before: NDArray[np.float32], after: NDArray[np.float32], said: Sequence[int]
) -> tuple[NDArray[np.float64], tuple[float, float], int]:
    """Divergence of `after` from `before` at each of T places, the loss of what was said under both, and agreement.

    Where one form has no room for a word, that word has no chance in it.
    """
    width = max(before.shape[1], after.shape[1])
    divergences = np.zeros(len(said))
    losses, same = [0.0, 0.0], 0
    for start in range(0, len(said), ROWS):
        part = slice(start, start + ROWS)
        left, right = (widened(log_chances(logits[part]), width) for logits in (before, after))
        divergences[part] = divergence(left, right)
        same += int((left.argmax(-1) == right.argmax(-1)).sum())
        for side, found in enumerate((left, right)):
            losses[side] -= float(sum(found[row, token] for row, token in enumerate(said[part])))
    return divergences, (losses[0], losses[1]), same


def widened(chances: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return np.pad(chances, ((0, 0), (0, width - chances.shape[1])), constant_values=-np.inf)


def log_chances(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """[T, V] logits to log-probabilities."""
    wide = logits.astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(-1, keepdims=True)))


def divergence(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kullback and Leibler, 1951: what is lost, in nats, by believing `right` where `left` holds. Not below 0.

    A word that is missing from `right` counts only if `left` would ever say it: some forms leave out the rows that
    pad a vocabulary, of which a model keeps a trace of a chance.
    """
    weight = np.exp(left)
    unsaid = (weight == 0) | ((weight < NEVER) & np.isneginf(right))
    with np.errstate(invalid="ignore"):
        terms = np.where(unsaid, 0.0, weight * (left - right))
    return np.asarray(np.maximum(terms.sum(-1), 0.0))


def judge(readings: Sequence[Reading], limits: Limits) -> list[Proof]:
    """Each measure over all cases."""
    return [
        *equal_ids(readings),
        *distances(readings, limits),
        *agreement(readings, limits),
        loss_change(readings, limits),
        *score_change(readings, limits),
    ]


def equal_ids(readings: Sequence[Reading]) -> list[Proof]:
    count = len(readings)
    prompts = sum(not reading.prompts_equal for reading in readings)
    words = sum(not reading.words_equal for reading in readings)
    of_prompts = tr("{wrong} of {count} prompts have other ids", wrong=prompts, count=count)
    of_words = tr("the words of {wrong} of {count} have other ids", wrong=words, count=count)
    return [
        at_most("prompt_ids", count, of_prompts, prompts, 0),
        at_most("text_ids", count, of_words, words, 0),
    ]


def distances(readings: Sequence[Reading], limits: Limits) -> list[Proof]:
    every = np.concatenate([reading.divergences for reading in readings])
    gap, mean, highest = largest([reading.gap for reading in readings]), float(every.mean()), float(every.max())
    told = tr("the logits differ by {gap} at most", gap=f"{gap:.2e}")
    on_average = tr("mean divergence {mean} nats over {count} places", mean=f"{mean:.2e}", count=len(every))
    worst = tr("divergence {worst} nats at the worst of {count} places", worst=f"{highest:.2e}", count=len(every))
    return [
        at_most("logit_gap", len(every), told, gap, limits.logit_gap),
        at_most("mean_kl", len(every), on_average, mean, limits.mean_kl),
        at_most("max_kl", len(every), worst, highest, limits.max_kl),
    ]


def agreement(readings: Sequence[Reading], limits: Limits) -> list[Proof]:
    places = sum(len(reading.divergences) for reading in readings)
    same = sum(reading.same for reading in readings) / places
    equal = share([reading.answers[0] == reading.answers[1] for reading in readings])
    spoken = sum(len(reading.answers[0]) for reading in readings)
    kept = sum(common(*reading.answers) for reading in readings)
    next_token = tr("the same token is likeliest at {share} of {count} places", share=f"{same:.1%}", count=places)
    answers = tr(
        "{equal} of {count} greedy answers are the same, and {kept} of {spoken} tokens up to where they part",
        equal=equal.correct,
        count=equal.total,
        kept=kept,
        spoken=spoken,
    )
    return [
        at_least("next_token_agreement", places, next_token, same, limits.next_token),
        at_least("greedy_agreement", equal.total, answers, equal.share, limits.answers),
    ]


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """[1, 2, 3], [1, 2, 4] -> 2."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(left), len(right)))


def loss_change(readings: Sequence[Reading], limits: Limits) -> Proof:
    """Judged by the mean over conversations; its interval says how much of it may be chance."""
    mean, (low, high) = mean_interval([reading.loss_change for reading in readings])
    before, after = (
        sum(reading.losses[side] for reading in readings) / sum(len(reading.divergences) for reading in readings)
        for side in (0, 1)
    )
    told = tr(
        "loss {before} → {after}; change in a conversation {mean}, 95 % interval {low} to {high}",
        before=f"{before:.4f}",
        after=f"{after:.4f}",
        mean=f"{mean:+.2e}",
        low=f"{low:+.2e}",
        high=f"{high:+.2e}",
    )
    return at_most("loss_change", len(readings), told, mean, limits.loss)


def score_change(readings: Sequence[Reading], limits: Limits) -> list[Proof]:
    """Of the tasks with one right answer; nothing where there are none."""
    asked = [reading.right for reading in readings if reading.right is not None]
    if not asked:
        return []
    before, after = ([pair[side] for pair in asked] for side in (0, 1))
    change: Change = mcnemar(before, after)
    told = tr(
        "exact match {before} → {after} of {count} (gained {gained}, lost {lost}, chance {p})",
        before=sum(before),
        after=sum(after),
        count=len(asked),
        gained=change.gained,
        lost=change.lost,
        p=f"{change.p:.2f}",
    )
    limit = limits.score
    fell = -change.difference
    passed = limit is None or fell <= limit or change.p > CHANCE
    return [Proof("score_change", passed, len(asked), told, change.difference, None if limit is None else -limit)]


def largest(values: Sequence[float]) -> float:
    """Not a number, if any is none."""
    return float(np.max(np.asarray(values)))


def at_most(name: str, checked: int, detail: str, measured: float, limit: float | None) -> Proof:
    return judged(name, checked, detail, measured, limit, limit is None or measured <= limit)


def at_least(name: str, checked: int, detail: str, measured: float, limit: float | None) -> Proof:
    return judged(name, checked, detail, measured, limit, limit is None or measured >= limit)


def judged(name: str, checked: int, detail: str, measured: float, limit: float | None, within: bool) -> Proof:
    """What is no number, or without end, passes no limit, and stands in no JSON."""
    finite = math.isfinite(measured)
    return Proof(name, within and finite, checked, detail, float(measured) if finite else None, limit)
