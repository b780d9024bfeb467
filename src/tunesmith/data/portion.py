"""A run of consecutive records and all that became of them: what is made, proven and kept at once."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, groupby, pairwise, repeat
from typing import TYPE_CHECKING, Any

from tunesmith.batch import Example
from tunesmith.proof import Proof
from tunesmith.records import Origin, Refusal

if TYPE_CHECKING:
    from pyarrow.lib import ChunkedArray


@dataclass(frozen=True, slots=True)
class Portion:
    """
    refusals       of reading and of rendering
    proofs         that every rule holds for these records
    read           records that were read; of them
    conversations  were given to the template, and of these
    too_long       were left out for their length
    split          became several
    ways           how the template had been spoken to at the end: Renderer.ways
    altered        answers that the tokenizer alters
    first_altered  where the first of them stands
    """

    examples: Sequence[Example] = ()
    refusals: Sequence[Refusal] = ()
    proofs: Sequence[Proof] = ()
    read: int = 0
    conversations: int = 0
    too_long: int = 0
    split: int = 0
    ways: tuple[bool, ...] = ()
    altered: int = 0
    first_altered: str = ""


def merge(portions: Sequence[Portion]) -> Portion:
    """All portions as one."""
    return Portion(
        examples=[example for portion in portions for example in portion.examples],
        refusals=[refusal for portion in portions for refusal in portion.refusals],
        proofs=merge_proofs(proof for portion in portions for proof in portion.proofs),
        read=sum(portion.read for portion in portions),
        conversations=sum(portion.conversations for portion in portions),
        too_long=sum(portion.too_long for portion in portions),
        split=sum(portion.split for portion in portions),
        ways=tuple(dict.fromkeys(way for portion in portions for way in portion.ways)),
        altered=sum(portion.altered for portion in portions),
        first_altered=next(filter(None, (portion.first_altered for portion in portions)), ""),
    )


def merge_proofs(proofs: Iterable[Proof]) -> list[Proof]:
    """One proof of each name over all that was checked; where one failed, it tells of the first failure."""
    merged: dict[str, Proof] = {}
    for proof in proofs:
        known = merged.setdefault(proof.name, replace(proof, checked=0, measured=0))
        merged[proof.name] = replace(
            known,
            passed=known.passed and proof.passed,
            checked=known.checked + proof.checked,
            detail=known.detail if proof.passed or not known.passed else proof.detail,
            measured=(known.measured or 0) + (proof.measured or 0),
        )
    return list(merged.values())


def to_bytes(portion: Portion) -> bytes:
    """A line of JSON with the accounts, then the examples as Parquet."""
    counts = ("read", "conversations", "too_long", "split", "ways", "altered", "first_altered")
    accounts: dict[str, Any] = {name: getattr(portion, name) for name in counts}
    accounts["refusals"] = [asdict(refusal) for refusal in portion.refusals]
    accounts["proofs"] = [proof.to_json() for proof in portion.proofs]
    return json.dumps(accounts).encode() + b"\n" + examples_to_parquet(portion.examples)


def from_bytes(content: bytes) -> Portion:
    """What `to_bytes` was given."""
    line, _, table = content.partition(b"\n")
    accounts: dict[str, Any] = json.loads(line)
    refusals = [Refusal(**{**known, "origin": Origin(**known["origin"])}) for known in accounts.pop("refusals")]
    proofs = [Proof(**known) for known in accounts.pop("proofs")]
    ways = tuple(accounts.pop("ways"))
    return Portion(examples_from_parquet(table), refusals, proofs, ways=ways, **accounts)


def examples_to_parquet(examples: Sequence[Example]) -> bytes:
    """A row an example. Weights are runs of equal ones; examples with the very same Origin have one `row` number."""
    from pyarrow import lib as arrow
    from pyarrow import parquet

    runs = [[(weight, len(list(run))) for weight, run in groupby(example.weights)] for example in examples]
    origins = [example.origin for example in examples]
    table = arrow.table(
        {
            "ids": arrow.array([example.ids for example in examples], arrow.list_(arrow.int32())),
            "encoder_ids": arrow.array([example.encoder_ids for example in examples], arrow.list_(arrow.int32())),
            "weights": arrow.array([[weight for weight, _ in each] for each in runs], arrow.list_(arrow.float64())),
            "lengths": arrow.array([[length for _, length in each] for each in runs], arrow.list_(arrow.int32())),
            "file": arrow.array([origin.file for origin in origins], arrow.string()),
            "line": arrow.array([origin.line for origin in origins], arrow.int64()),
            "record": arrow.array([origin.record for origin in origins], arrow.int64()),
            "row": arrow.array(row_numbers(origins), arrow.int32()),
        }
    )
    sink = arrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def row_numbers(origins: Sequence[Origin]) -> list[int]:
    """Counts the origins in a row that are different objects, equal or not."""
    numbers: list[int] = []
    for index, origin in enumerate(origins):
        same = index > 0 and origin is origins[index - 1]
        numbers.append(numbers[-1] + (not same) if numbers else 0)
    return numbers


def examples_from_parquet(content: bytes) -> list[Example]:
    """The examples; those of one row hold the very same Origin, by which a split keeps a conversation together."""
    from pyarrow import lib as arrow
    from pyarrow import parquet

    table = parquet.read_table(arrow.BufferReader(content))
    places = zip(*(table[name].to_pylist() for name in ("row", "file", "line", "record")), strict=True)
    return [
        Example(tuple(ids), tuple(chain.from_iterable(map(repeat, weights, lengths))), origin, tuple(encoder_ids))
        for ids, encoder_ids, weights, lengths, origin in zip(
            *map(lists, (table[name] for name in ("ids", "encoder_ids", "weights", "lengths"))),
            origins_of(places),
            strict=True,
        )
    ]


def origins_of(places: Iterable[tuple[int, str, int, int]]) -> Iterator[Origin]:
    """One Origin for each number in `places` (number, file, line, record), as often as it stands there."""
    for (_, file, line, record), same in groupby(places):
        yield from repeat(Origin(file, line, record), len(list(same)))


def lists(column: "ChunkedArray") -> Iterator[list[Any]]:
    """The lists of a column, fast."""
    for chunk in column.chunks:
        values = chunk.values.to_numpy().tolist()
        yield from (values[start:end] for start, end in pairwise(chunk.offsets.to_pylist()))
