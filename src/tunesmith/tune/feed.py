"""Examples, in the order and the portions in which the loop reads them.

The whole order is known before the run starts: it depends on the number of examples, the budget and the
seed alone, so step 812 is the same after a resume.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import torch

from tunesmith.batch import Batch, Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.inputs import right_padded
from tunesmith.recipe import Budget, LossPer
from tunesmith.tune.pack import bins, stream

FINER = (1.25, 1.12, 1.06, 1.03, 1.0, 0.75, 0.5, 0.25)  # shares of a rank's fair part to which micro-batches are cut
WASTE = 1.5  # padded tokens per token read, over which another forward pass is the cheaper way
SMALL = 1024  # padded tokens under which it is not


def plan(count: int, budget: Budget) -> list[list[int]]:
    """Indices of the examples of every step, reshuffled each epoch; the last step of an epoch may be smaller."""
    per_epoch = math.ceil(count / budget.batch_size)
    steps: list[list[int]] = []
    for epoch in range(math.ceil(budget.epochs)):
        order = list(range(count))
        random.Random(f"{budget.seed}/{epoch}").shuffle(order)
        steps += [order[start : start + budget.batch_size] for start in range(0, count, budget.batch_size)]
    return steps[: max(1, round(budget.epochs * per_epoch))]


def micro_batches(examples: Sequence[Example], micro_tokens: int) -> list[list[Example]]:
    """Cut into groups of like length, each of at most `micro_tokens` padded tokens (or of a single example).

    A group ends where padding would make it WASTE times what is read, unless it is small.
    """
    groups: list[list[Example]] = []
    encoder = decoder = read = 0  # widths and tokens of the last group
    for example in sorted(examples, key=len, reverse=True):
        encoder, decoder = max(encoder, len(example.encoder_ids)), max(decoder, len(example.ids))
        read += len(example)
        padded = (encoder + decoder) * (len(groups[-1]) + 1) if groups else 0
        if groups and padded <= min(micro_tokens, max(WASTE * read, SMALL)):
            groups[-1].append(example)
        else:
            groups.append([example])
            encoder, decoder, read = len(example.encoder_ids), len(example.ids), len(example)
    return groups


def collate(examples: Sequence[Example], pad: int) -> Batch:
    """[[1,2],[3]] -> tokens [[1,2],[3,pad]]. The first token of a row is never a target: nothing predicts it."""
    tokens, attention = right_padded([example.ids for example in examples], pad)
    weights = torch.zeros(tokens.shape, dtype=torch.float32)
    for row, example in enumerate(examples):
        weights[row, 1 : len(example.ids)] = torch.tensor(example.weights[1:])
    positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
    batch = Batch(tokens, weights, attention, positions, (positions - 1).clamp(min=0))
    if any(example.encoder_ids for example in examples):
        encoder_ids = [example.encoder_ids for example in examples]
        batch.encoder_tokens, batch.encoder_attention = right_padded(encoder_ids, pad)
    return batch


@dataclass(frozen=True, slots=True)
class Layout:
    """How examples become batches.

    micro_tokens  tokens in one forward pass, padding included
    packed        examples end to end in one row, instead of one example a row
    shared        a head that several packed examples begin with is in the row once
    loss_per      what counts alike: each token (by its weight), each example, or each batch
    """

    micro_tokens: int
    pad: int
    packed: bool = False
    shared: bool = False
    loss_per: LossPer = "token"

    def batches(self, examples: Sequence[Example], rank: int = 0, ranks: int = 1) -> list[Batch]:
        """One rank's part of the examples; every rank gets equally many batches, some perhaps of no weight."""
        if self.loss_per == "example":
            examples = [evened(example) for example in examples]
        spare = min(examples, key=len)
        return [self.batch(part) if part else idle(self.batch([spare])) for part in self.dealt(examples, ranks)[rank]]

    def batch(self, examples: Sequence[Example]) -> Batch:
        made = stream(examples, self.shared) if self.packed else collate(examples, self.pad)
        if self.loss_per == "micro_batch":
            made.weights /= made.weights.sum()
        return made

    def dealt(self, examples: Sequence[Example], ranks: int) -> list[list[list[Example]]]:
        """For each rank its micro-batches; cut as small as it takes for the ranks to be busy alike."""
        limits = [self.micro_tokens]
        if ranks > 1:
            fair = max(1, min(self.micro_tokens, sum(map(len, examples)) // ranks))
            limits += [math.ceil(fair * more) for more in FINER]
        hands = [deal(self.parts(examples, limit), ranks, self.cost) for limit in limits]
        return min(hands, key=lambda hand: max(sum(map(self.cost, mine)) for mine in hand))

    def parts(self, examples: Sequence[Example], limit: int) -> list[list[Example]]:
        return bins(examples, limit) if self.packed else micro_batches(examples, limit)

    def cost(self, part: Sequence[Example]) -> int:
        """Tokens that are computed for it."""
        if not part:
            return 0
        if self.packed:
            return sum(map(len, part))
        sides = [example.encoder_ids for example in part], [example.ids for example in part]
        return len(part) * sum(max(map(len, side)) for side in sides)  # each side is padded for itself


def deal(parts: list[list[Example]], ranks: int, cost: Callable[[Sequence[Example]], int]) -> list[list[list[Example]]]:
    """The dearest part goes to whoever has the least so far; empty ones make the number of parts equal."""
    hands: list[list[list[Example]]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    for part in sorted(parts, key=cost, reverse=True):
        least = loads.index(min(loads))
        hands[least].append(part)
        loads[least] += cost(part)
    most = max(map(len, hands))
    return [hand + [[]] * (most - len(hand)) for hand in hands]


def idle(batch: Batch) -> Batch:
    """The same batch, to take part in a step that others have more work in: it counts for nothing."""
    batch.weights.zero_()
    batch.attention.zero_()
    return batch


def evened(example: Example) -> Example:
    """The same example with weights that sum to one."""
    total = sum(example.weights[1:])
    return replace(example, weights=tuple(weight / total for weight in example.weights))


def split(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """(training, evaluation), chosen by a hash of the content: an example keeps its side when others come or go.

    Neighbouring examples of one origin (turns of one conversation) go the same way. A share too small for
    any gets the one conversation whose hash is smallest.
    """
    if not share:
        return list(examples), []
    keys = conversation_hashes(examples)
    limit = max(int(share * 2**64), min(keys, default=0) + 1)
    train = [example for example, key in zip(examples, keys, strict=True) if key >= limit]
    if not train:
        raise UserError(
            tr("tune.eval_share={share} leaves nothing to train on", share=share),
            tr("use a smaller share, or more data"),
        )
    return train, [example for example, key in zip(examples, keys, strict=True) if key < limit]


def conversation_hashes(examples: Sequence[Example]) -> list[int]:
    """For each example the hash, below 2^64, of the first example of its conversation.

    Examples of one conversation stand together and hold the very same Origin. An equal one is not enough:
    in a JSON file of one line every record has that line.
    """
    keys: list[int] = []
    for index, example in enumerate(examples):
        same = index > 0 and example.origin.line > 0 and example.origin is examples[index - 1].origin
        keys.append(keys[-1] if same else first_bytes(example.encoder_ids + example.ids))
    return keys


def first_bytes(ids: tuple[int, ...]) -> int:
    return int.from_bytes(sha256(repr(ids).encode()).digest()[:8])


def fingerprint(examples: Sequence[Example]) -> str:
    """sha256 over every token and weight, in order."""
    digest = sha256()
    for example in examples:
        digest.update(repr((example.encoder_ids, example.ids, example.weights)).encode())
    return digest.hexdigest()
