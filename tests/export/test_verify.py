"""What is measured between a model and its new form, and that each proof can fail."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from tunesmith.export.cases import Case
from tunesmith.export.settings import EXACT, Limits
from tunesmith.export.verify import chances, compare
from tunesmith.records import Message, text_message

WORDS = 12
CASES = [Case((text_message("user", f"{n}"),), (1, 2, n), (3, 4, 0), (3, 4)) for n in range(3, 9)]


@dataclass(frozen=True)
class Table:
    """A model that is a table of logits, with a fault of each kind."""

    noise: float = 0.0
    words: int = 0
    prompts: int = 0
    width: int = WORDS
    answers: tuple[int, ...] = (3, 4)
    broken: bool = False

    def tokenize(self, text: str) -> list[int]:
        return [ord(letter) + self.words for letter in text]

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return [1, 2, int(messages[-1].text) + self.prompts]

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        table = np.random.default_rng(sum(ids)).normal(size=(len(ids), WORDS)).astype(np.float32)
        table[:, self.width // 2] += self.noise
        if self.broken:
            table[-2, 0] = np.nan
        return table[:, : self.width]

    def answer(self, ids: Sequence[int], most: int) -> list[int]:
        return list(self.answers)


def failed(exported: Table, limits: Limits = EXACT) -> set[str]:
    return {proof.name for proof in compare(Table(), exported, CASES, limits) if not proof.passed}


def test_a_model_is_like_itself() -> None:
    proofs = compare(Table(), Table(), CASES, EXACT)
    assert all(proof.passed for proof in proofs)
    found = {proof.name: proof.measured for proof in proofs}
    assert found == {
        "prompt_ids": 0, "text_ids": 0, "logit_gap": 0, "mean_kl": 0, "max_kl": 0, "next_token_agreement": 1,
        "greedy_agreement": 1, "loss_change": 0, "score_change": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        (Table(words=1), {"text_ids"}),
        (Table(prompts=1), {"prompt_ids"}),
        (Table(answers=(3, 5)), {"greedy_agreement", "score_change"}),
        (Table(noise=0.002), {"logit_gap"}),
        (Table(noise=0.1), {"logit_gap", "mean_kl", "max_kl", "loss_change"}),
        (Table(noise=9), {"logit_gap", "mean_kl", "max_kl", "loss_change", "next_token_agreement"}),
        (Table(broken=True), {"logit_gap", "mean_kl", "max_kl", "loss_change"}),
        (Table(width=4), {"mean_kl", "max_kl", "loss_change", "next_token_agreement"}),
    ],
)
def test_each_fault_is_seen(fault: Table, names: set[str]) -> None:
    assert names <= failed(fault)
    assert failed(fault) - names <= {"max_kl", "mean_kl", "next_token_agreement", "loss_change", "logit_gap"}


def test_only_its_own_proof_fails_for_words_and_prompts() -> None:
    assert failed(Table(words=1)) == {"text_ids"}
    assert failed(Table(prompts=1)) == {"prompt_ids"}
    assert failed(Table(noise=0.002)) == {"logit_gap"}


def test_a_null_limit_is_measured_and_passes_but_no_number_never_does() -> None:
    free = Limits(None, None, None, None, None, None, None)
    assert failed(Table(noise=9, answers=(1,)), free) == set()
    assert {"logit_gap", "mean_kl"} <= failed(Table(broken=True), free)
    proofs = {proof.name: proof for proof in compare(Table(), Table(broken=True), CASES, free)}
    assert proofs["mean_kl"].measured is None


def test_a_score_that_falls_by_luck_is_not_refused() -> None:
    few = [Case(case.messages, case.prompt, case.said, case.right if n == 0 else None) for n, case in enumerate(CASES)]
    proofs = {proof.name: proof for proof in compare(Table(), Table(answers=(9,)), few, EXACT)}
    assert proofs["score_change"].passed
    assert (proofs["score_change"].measured, proofs["score_change"].checked) == (-1.0, 1)


def test_without_right_answers_there_is_no_score() -> None:
    open_ended = [Case(case.messages, case.prompt, case.said) for case in CASES]
    assert "score_change" not in {proof.name for proof in compare(Table(), Table(), open_ended, EXACT)}


def test_the_divergence_is_that_of_the_books() -> None:
    """Two coins: 0.5 and 0.25."""
    before, after = np.log(np.array([[0.5, 0.5]], np.float32)), np.log(np.array([[0.25, 0.75]], np.float32))
    divergences, losses, same = chances(before, after, [0])
    np.testing.assert_allclose(divergences, 0.5 * np.log(2) + 0.5 * np.log(2 / 3), rtol=1e-6)
    np.testing.assert_allclose(losses, [np.log(2), np.log(4)], rtol=1e-6)
    assert same == 0


def test_a_word_that_can_not_be_said_any_more_costs_without_end() -> None:
    before, after = np.zeros((1, 3), np.float32), np.array([[0, 0, -np.inf]], np.float32)
    divergences, losses, _ = chances(before, after, [2])
    assert np.isinf(divergences).all()
    assert np.isinf(losses[1])
    back, _, _ = chances(after, before, [0])
    np.testing.assert_allclose(back, np.log(1.5))


def test_a_missing_row_counts_only_if_it_was_ever_said() -> None:
    before = np.array([[0, 0, -20]], np.float32)
    padding, word = (chances(before, before[:, :width], [0])[0] for width in (2, 1))
    np.testing.assert_allclose(padding, 0, atol=1e-8)
    assert np.isinf(word).all()
