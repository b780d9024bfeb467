"""Deduplication, novelty and decontamination against the usual ways, in CPU-seconds of one process, taking turns.

Each function returns a plain dict of numbers. Rows are Alpaca's, resampled with edits; without that file, practice
instructions, which are shorter and more alike.
"""

import itertools
import json
import math
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy
import pyarrow

from bench.work import conversations
from tunesmith.data.shingles import sets, words
from tunesmith.data.step import Decision, SetStep
from tunesmith.data.steps.decontaminate import Decontaminate
from tunesmith.data.steps.near_duplicates import NearDuplicates
from tunesmith.data.steps.novelty import Novelty
from tunesmith.data.words import asked, said
from tunesmith.records import Conversation, text_message

T = TypeVar("T")
THRESHOLD, GRAM, PERMUTATIONS = 0.7, 5, 128
SHARD = 10_000  # rows sketched at once


class Memory:
    """Rows in memory, sketched shard by shard."""

    def __init__(self, step: SetStep, rows: Sequence[Conversation]) -> None:
        self.rows = rows
        shards = (rows[start : start + SHARD] for start in range(0, len(rows), SHARD))
        self.sketches = pyarrow.Table.from_batches([step.sketch(shard) for shard in shards])

    def id(self, row: int) -> str:
        return str(row)

    def fetch(self, rows: Sequence[int]) -> list[Conversation]:
        return [self.rows[row] for row in rows]


def decide(step: SetStep, rows: Sequence[Conversation]) -> Decision:
    return step.decide(Memory(step, rows))


def clock(work: Callable[[], T]) -> tuple[float, T]:
    """CPU-seconds, and what came of them."""
    start = time.process_time()
    made = work()
    return time.process_time() - start, made


def edited(text: str, rate: float, vocabulary: Sequence[str], draw: random.Random) -> str:
    return " ".join(draw.choice(vocabulary) if draw.random() < rate else word for word in text.split())


def resampled(count: int, seed: int = 0) -> list[Conversation]:
    """The same mix at any size: a third are copies with 0 to 20 % of their words changed, the others rows of their own.

    Where the real rows run out, one with half of its words changed is a row of its own: few of its n-grams are left.
    """
    draw = random.Random(seed)
    real = conversations(min(52_002, max(1, 2 * count // 3)), None)
    vocabulary = " ".join(map(said, real[:3000])).split()

    def altered(source: Conversation, rate: float) -> Conversation:
        texts = [edited(message.text, rate, vocabulary, draw) for message in source]
        return Conversation((text_message("user", texts[0]), text_message("assistant", texts[1])))

    made = [real[row] if row < len(real) else altered(draw.choice(real), 0.5) for row in range(2 * count // 3)]
    own = len(made)
    while len(made) < count:
        made.append(altered(made[draw.randrange(own)], draw.choice((0, 0.02, 0.05, 0.1, 0.2))))
    draw.shuffle(made)
    return made


def datasketch_kept(texts: Sequence[str]) -> list[int]:
    """The usual loop: look each row up, and insert what is new."""
    from datasketch import MinHash, MinHashLSH

    index, kept = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS), []
    for row, text in enumerate(texts):
        found = words(text)
        grams = {" ".join(found[i : i + GRAM]) for i in range(max(1, len(found) - GRAM + 1))}
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([gram.encode() for gram in grams])
        if not index.query(sketch):
            index.insert(row, sketch, check_duplication=False)
            kept.append(row)
    return kept


def exact_lost(texts: Sequence[str]) -> set[int]:
    """Rows let go by the exact Jaccard similarity with every earlier kept row, over an index of all n-grams."""
    every = sets(texts, GRAM)
    holders: dict[int, list[int]] = {}
    lost = set()
    for row, own in enumerate(every):
        met: dict[int, int] = {}
        for gram in own:
            for other in holders.get(gram, ()):
                met[other] = met.get(other, 0) + 1
        if any(count / (len(own) + len(every[other]) - count) >= THRESHOLD for other, count in met.items()):
            lost.add(row)
            continue
        for gram in own:
            holders.setdefault(gram, []).append(row)
    return lost


def quality(found: set[int], expected: set[int], name: str) -> dict[str, float]:
    both = len(found & expected)
    return {f"{name}precision": both / max(1, len(found)), f"{name}recall": both / max(1, len(expected))}


def dedup(n: int) -> dict[str, Any]:
    """Near duplicates of n rows against the rate of datasketch's MinHashLSH on the first 5,000, on which both are held
    against exact Jaccard."""
    rows, step = resampled(n), NearDuplicates(THRESHOLD, GRAM)
    texts = [said(row) for row in rows]
    decide(step, rows[:500])  # warm
    ours, theirs = [], []
    for _ in range(3 if n <= SHARD else 1):
        ours.append(clock(lambda: decide(step, rows))[0])
        theirs.append(clock(lambda: datasketch_kept(texts[:5000]))[0] / min(n, 5000) * n)
    few = rows[:5000]
    expected = exact_lost(texts[:5000])
    lost = set(numpy.flatnonzero(decide(step, few).copies == 0).tolist())
    other = set(range(len(few))) - set(datasketch_kept(texts[:5000]))
    return {
        "rows": n, "rows_per_cpu_second": n / min(ours), "datasketch_rows_per_cpu_second": n / min(theirs),
        "ratio_datasketch": min(theirs) / min(ours), "duplicates": len(lost), "checked_rows": len(few),
        **quality(lost, expected, ""), **quality(other, expected, "datasketch_"),
        "peak_bytes": peak(step, rows),
    }  # fmt: skip


def instructions(count: int, seed: int = 0) -> list[Conversation]:
    """Instructions, every fifth an earlier one with 10 to 60 % of its words changed."""
    draw = random.Random(seed)
    base = [asked(row) for row in conversations(min(count, 52_002), None)]
    vocabulary = " ".join(base[:3000]).split()
    made = []
    for row in range(count):
        text = base[row % len(base)]
        if row % 5 == 4 or row >= len(base):
            text = edited(draw.choice(base[: row + 1]), draw.choice((0.1, 0.2, 0.3, 0.4, 0.6)), vocabulary, draw)
        made.append(Conversation((text_message("user", text), text_message("assistant", "-"))))
    return made


def rouge_kept(texts: Sequence[str]) -> list[int]:
    """Self-Instruct's own loop over rouge_score."""
    from rouge_score import rouge_scorer

    cut = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)._tokenizer.tokenize
    pool: list[list[str]] = []
    kept = []
    for row, text in enumerate(texts):
        own = cut(text)
        if max((rouge_scorer._score_lcs(own, other).fmeasure for other in pool), default=0) <= THRESHOLD:
            pool.append(own)
            kept.append(row)
    return kept


def novelty(n: int, checked: int = 1000) -> dict[str, Any]:
    """Novel instructions of n against the loop over rouge_score, which decides on the first `checked` of them."""
    rows, step = instructions(n), Novelty(THRESHOLD)
    few = rows[:checked]
    texts = [asked(row) for row in few]
    decide(step, few[:50])  # warm
    ours, same = clock(lambda: decide(step, few))
    theirs, kept = clock(lambda: rouge_kept(texts))
    ours = min(ours, *(clock(lambda: decide(step, few))[0] for _ in range(2)))
    sizes = [size for size in (n // 16, n // 4, n) if size >= 500]
    times = [clock(lambda size=size: decide(step, rows[:size]))[0] for size in sizes]
    slopes = [math.log(late / early, 4) for early, late in itertools.pairwise(times)]
    return {
        "rows": n, "checked_rows": len(few), "ratio_rouge_score": theirs / ours,
        "same_decisions": numpy.flatnonzero(same.copies).tolist() == kept, "duplicates": len(few) - len(kept),
        "rows_per_cpu_second": n / times[-1] if times else len(few) / ours,
        "growth_exponents": slopes, "growth_exponent": slopes[-1] if slopes else None, "peak_bytes": peak(step, rows),
    }  # fmt: skip


def decontamination(n: int) -> dict[str, Any]:
    """n rows against 1,000 benchmark items; every 50th row holds one, a third of them edited."""
    draw = random.Random(0)
    given = conversations(min(n + 1000, 52_002), None)
    items, rows = [asked(row) for row in given[:1000]], [given[1000 + i % (len(given) - 1000)] for i in range(n)]
    long = [text for text in items if len(words(text)) >= 13]
    vocabulary = " ".join(items).split()
    planted = set(range(0, n, 50))
    for row in planted:
        text = draw.choice(long)
        text = edited(text, 0.03, vocabulary, draw) if row % 150 == 0 else f"Please help. {text} Thanks!"
        rows[row] = Conversation((text_message("user", text), text_message("assistant", "-")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "items.jsonl"
        path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in items), encoding="utf-8")
        ready, judge = clock(Decontaminate((str(path),)).ready)
        cost, kept = clock(lambda: [isinstance(next(iter(judge(row))), Conversation) for row in rows])
    lost = {row for row, left in enumerate(kept) if not left}
    whole = {row for row in planted if row % 150}
    return {
        "rows": n, "items": len(items), "rows_per_cpu_second": n / cost, "index_cpu_seconds": ready,
        "recall_verbatim": len(lost & whole) / max(1, len(whole)),
        "recall_edited": len(lost & (planted - whole)) / max(1, len(planted - whole)),
        "others_let_go": len(lost - planted),
    }  # fmt: skip


def peak(step: SetStep, rows: Sequence[Conversation]) -> int:
    """Bytes that sketches and decision take at most beside the rows, Arrow's in memory though a run maps them."""
    tracemalloc.start()
    before = pyarrow.total_allocated_bytes()
    made = Memory(step, rows)
    step.decide(made)
    own, arrow = tracemalloc.get_traced_memory()[1], pyarrow.total_allocated_bytes() - before
    tracemalloc.stop()
    return own + arrow
