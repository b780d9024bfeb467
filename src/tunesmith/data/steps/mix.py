"""How much of what: the mixture that a model is trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.mix import Rule, allot, capped, largest, portions, rate
from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.words import SOURCE, tag
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import RecordBatch

    from tunesmith.data.chance import Keys

Part = tuple[str, str]  # group and name


@dataclass(frozen=True, slots=True)
class Mix(SetStep):
    """Draw from every source its part of a mixture, to the row, and shuffle; anew for each epoch.

    rule          what a source weighs: proportional to its rows, sqrt (the root of them) or equal
    cap           a source weighs as if it had no more rows than this; 0: as it is
    caps          other caps for the sources of some groups, as {cot: 100000}
    temperature   weights are bent to the power of 1/temperature: above 1 small sources gain
    weights       factors for some sources on top of that, as {identity: 2}
    shares        what each group gets of the whole, in any unit, as {flan: 40, t0: 32}; empty: what its sources weigh
    counts        exact rows of some sources; the others stay whole. Excludes all options above, and total
    total         rows in an epoch; 0: the most of which no source, capped, gives a row twice
    repeat        a source may give rows more than once an epoch, as evenly as can be
    epochs        so many draws, one after another, each without regard to the others
    by            the tag that names the sources; a task's name, for instance, where a file holds many tasks
    within        the tag that names the groups of sources
    seed          another seed, another draw
    """

    rule: Rule = "proportional"
    cap: int = 0
    caps: dict[str, int] = field(default_factory=dict)
    temperature: float = 1.0
    weights: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    total: int = 0
    repeat: bool = False
    epochs: int = 1
    by: str = SOURCE
    within: str = SOURCE
    seed: int = 0

    REASONS: ClassVar = ("not drawn for the mixture",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "mix: {by: task, cap: 4096, shares: {flan: 20, niv2: 25, promptsource: 45}, total: 100000}"

    def __post_init__(self) -> None:
        numbers = (*self.caps.values(), *self.weights.values(), *self.shares.values(), *self.counts.values())
        if self.temperature <= 0 or self.epochs < 1 or min((self.cap, self.total, *numbers)) < 0:
            raise UserError(
                tr("a mixture has no negative numbers, and both temperature and epochs are above 0"), tr("correct them")
            )
        plain = (self.rule, self.cap, self.temperature, self.total) == ("proportional", 0, 1.0, 0)
        if self.counts and not (plain and not self.caps and not self.weights and not self.shares):
            raise UserError(
                tr("a mixture by counts has no rule, cap, temperature, weights, shares or total"),
                tr("give either counts or the others"),
            )

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        from tunesmith.data.chance import key_column

        groups = [tag(conversation, self.within) for conversation in conversations]
        names = [tag(conversation, self.by) for conversation in conversations]
        return RecordBatch.from_pydict({"group": groups, "name": names, "key": key_column(conversations)})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column

        parts, part = parts_of(rows)
        sizes = dict(zip(parts, np.bincount(part, minlength=len(parts)).tolist(), strict=True))
        given = self.wanted(sizes)
        wanted = np.array([given[name] for name in parts], np.int64)
        keys = column(rows.sketches["key"])
        epochs = [drawn(part, wanted, keys, (self.seed, epoch)) for epoch in range(self.epochs)]
        order = np.concatenate(epochs)
        copies = np.bincount(order, minlength=len(part)).astype(np.uint32)
        rejects = [Reject("not drawn for the mixture", "/".join(dict.fromkeys(name))) for name in parts]
        return Decision(copies, {row: rejects[part[row]] for row in np.flatnonzero(copies == 0).tolist()}, order)

    def wanted(self, sizes: Mapping[Part, int]) -> dict[Part, int]:
        """Rows that each part gives in an epoch. Raises UserError where a name is unknown, or rows do not suffice."""
        self.refuse_unknown(sizes)
        if self.counts:
            found = {part: self.counts.get(part[1], size) for part, size in sizes.items()}
        else:
            groups = {part: part[0] for part in sizes}
            rates = {part: self.rate(part, size) for part, size in sizes.items()}
            most = None if self.total else {part: capped(size, self.cap_of(part)) for part, size in sizes.items()}
            total = self.total if most is None else largest(portions(rates, groups, self.shares), most)
            found = allot(rates, total, groups, self.shares, most)
            if sum(found.values()) != total:
                raise UserError(
                    tr("the mixture has rows to give where all weights are 0"), tr("give a weight, or a share of 0")
                )
        short = next((part for part in sizes if found[part] > sizes[part] and not self.repeat), None)
        if short:
            raise UserError(
                tr(
                    "the mixture asks for {wanted} rows of {name}, which has {size}",
                    wanted=found[short],
                    name="/".join(dict.fromkeys(short)),
                    size=sizes[short],
                ),
                tr("ask for fewer in all, or let rows be repeated: repeat: true"),
            )
        return found

    def rate(self, part: Part, size: int) -> float:
        weight = self.weights.get(part[1], 1.0)
        return rate(capped(size, self.cap_of(part)), self.rule, self.temperature, weight)

    def cap_of(self, part: Part) -> int:
        return self.caps.get(part[0], self.cap)

    def refuse_unknown(self, parts: Mapping[Part, int]) -> None:
        groups, names = {group for group, _ in parts}, {name for _, name in parts}
        asked = [*((name, groups) for name in (*self.caps, *self.shares))]
        asked += [(name, names) for name in (*self.weights, *self.counts)]
        unknown = next(((name, known) for name, known in asked if name not in known), None)
        if unknown:
            raise UserError(
                tr("the mixture names {name}, of which there are no rows", name=unknown[0]),
                tr("there are {names}", names=", ".join(sorted(unknown[1])[:20])),
            )
        left = sorted(groups - set(self.shares)) if self.shares else []
        if left:
            raise UserError(
                tr("the shares of the mixture leave out {name}", name=left[0]), tr("name it; 0 leaves its rows out")
            )


def parts_of(rows: Rows) -> tuple[list[Part], "NDArray[numpy.int64]"]:
    """All parts in order of name, and [rows] the number of each row's own."""
    import numpy as np

    from tunesmith.data.chance import numbered

    groups, group = numbered(rows.sketches["group"])
    names, name = numbered(rows.sketches["name"])
    codes, part = np.unique(group * len(names) + name, return_inverse=True)
    return [(groups[code // len(names)], names[code % len(names)]) for code in codes.tolist()], part


def drawn(
    part: "NDArray[numpy.int64]", wanted: "NDArray[numpy.int64]", keys: "Keys", seed: tuple[int, int]
) -> "NDArray[numpy.int64]":
    """One epoch: [sum of `wanted`] row numbers, shuffled. No row comes twice before all of its part have come once."""
    import numpy as np

    from tunesmith.data.chance import draws, places, scatter

    chance = draws(keys, *seed)
    sizes = np.bincount(part, minlength=len(wanted))
    passes, rest = np.divmod(wanted, np.maximum(sizes, 1))
    copies = passes[part] + (places(part, chance) < rest[part])
    order = np.repeat(np.arange(len(part)), copies)
    copy = np.arange(len(order)) - np.repeat(np.cumsum(copies) - copies, copies)
    return order[np.argsort(scatter(chance[order] + copy.astype(np.uint64)), kind="stable")]
