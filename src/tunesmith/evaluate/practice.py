"""Scores on tasks with one right answer: the share that a model answers exactly."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tunesmith.evaluate.answer import Progress, answer
from tunesmith.evaluate.statistics import Share, share
from tunesmith.models.nano.families.family import Task

MAX_NEW_TOKENS = 48  # every right answer is shorter


@dataclass(frozen=True, slots=True)
class Sample:
    """One task as it went."""

    family: str
    language: str
    prompt: str
    expected: str
    given: str

    @property
    def right(self) -> bool:
        return self.given.strip() == self.expected.strip()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"right": self.right}


@dataclass(frozen=True, slots=True)
class Scores:
    """What `score` found; families in the order in which they were first asked."""

    exact_match: float
    interval: tuple[float, float]
    families: dict[str, Share]
    samples: tuple[Sample, ...]

    @property
    def verdicts(self) -> list[bool]:
        return [sample.right for sample in self.samples]

    def to_json(self) -> dict[str, Any]:
        return {
            "exact_match": self.exact_match,
            "interval": list(self.interval),
            "families": {name: found.to_json() for name, found in self.families.items()},
        }


def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt_ids_of: Callable[[Task], list[int]],
    stop_ids: Collection[int],
    tasks: Iterable[Task],
    progress: Progress | None = None,
    batch_size: int = 64,
) -> Scores:
    """Ask the model every task once, greedily, and compare its answers with the right ones."""
    asked = list(tasks)
    prompts = [prompt_ids_of(task) for task in asked]
    given = answer(model, tokenizer, prompts, MAX_NEW_TOKENS, stop_ids, batch_size, progress)
    texts = [str(tokenizer.decode(ids, skip_special_tokens=False)) for ids in given]
    return summary([sample(task, text) for task, text in zip(asked, texts, strict=True)])


def sample(task: Task, given: str) -> Sample:
    prompt = f"{task.instruction}\n\n{task.input}" if task.input else task.instruction
    return Sample(task.family, task.language, prompt, task.answer, given)


def summary(samples: Sequence[Sample]) -> Scores:
    """The share of right answers, over all and by family."""
    families = dict.fromkeys(sample.family for sample in samples)
    by_family = {name: share([sample.right for sample in samples if sample.family == name]) for name in families}
    over_all = share([sample.right for sample in samples])
    return Scores(over_all.share, over_all.interval, by_family, tuple(samples))
