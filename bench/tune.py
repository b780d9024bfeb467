"""Our tuning step against a plain padded one, and both against the matrix-product rate of this machine.

    python -m bench.tune            (about two minutes; --json prints one object)

The plain step is what a minimal trainer does: rows in arrival order, padded to the longest of the micro-batch,
logits at every position. Ours sorts a step's rows by length and asks for logits only where some row predicts a
supervised token. Same model, rows, batch, precision and optimizer; the loss of both is shown.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tunesmith.batch import Example
from tunesmith.models.load import load_tokenizer
from tunesmith.models.nano.families import generate
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.records import Conversation, text_message
from tunesmith.text.render import Rendered, Renderer
from tunesmith.text.template import load_template
from tunesmith.tune.feed import batches, collate
from tunesmith.tune.loop import Work, accumulate

ROWS, MICRO_ROWS = 64, 16


@dataclass(slots=True)
class Timing:
    """CPU-seconds of each repetition, and the loss seen."""

    seconds: list[float] = field(default_factory=list)
    loss: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def examples(count: int) -> list[Example]:
    """Practice instructions, rendered with alpaca (a long constant head, as in much real data)."""
    renderer = Renderer(load_template("alpaca"), load_tokenizer("nano"))
    chats = (
        Conversation(
            (
                text_message("user", task.instruction, *([task.input] if task.input else [])),
                text_message("assistant", task.answer),
            )
        )
        for task in generate("train", count, 0)
    )
    return [example for item in renderer.render(chats) if isinstance(item, Rendered) for example in item.examples]


def model(vocabulary: int) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **shape))


def plain(net: PreTrainedModel, rows: Sequence[Example]) -> float:
    """Loss of one padded step; leaves the gradient in .grad."""
    count, total = sum(sum(1 for weight in row.weights[1:] if weight) for row in rows), 0.0
    for start in range(0, len(rows), MICRO_ROWS):
        batch = collate(rows[start : start + MICRO_ROWS], 0)
        labels = torch.where(batch.weights > 0, batch.tokens, -100)
        logits = net(input_ids=batch.tokens, attention_mask=batch.attention).logits[:, :-1].float()
        loss = functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum") / count
        loss.backward()
        total += float(loss)
    return total


def ours(net: PreTrainedModel, rows: Sequence[Example]) -> float:
    """The same through the engine."""
    longest = max(map(len, rows))
    work = Work(CrossEntropy(), batches(rows, MICRO_ROWS * longest, 0))
    return float(accumulate(net, work, "fp32")[2])


def product_rate(size: int = 1024) -> float:
    """10^9 operations per CPU-second of the best of a few fp32 products."""
    a = torch.randn(size, size)
    best = float("inf")
    for _ in range(8):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * size**3 / best / 1e9


def measure(net: PreTrainedModel, rows: Sequence[Example], repeats: int) -> dict[str, Timing]:
    """Contenders in turn, after one unmeasured round."""
    contenders: dict[str, Callable[[PreTrainedModel, Sequence[Example]], float]] = {"plain": plain, "ours": ours}
    timings = {name: Timing() for name in contenders}
    for repeat in range(repeats + 1):
        for name, step in contenders.items():
            start = time.process_time()
            timings[name].loss = step(net, rows)
            net.zero_grad(set_to_none=True)
            if repeat:
                timings[name].seconds.append(time.process_time() - start)
    return timings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = examples(ROWS)
    net = model(max(max(row.ids) for row in rows) + 1)
    timings = measure(net, rows, options.repeats)
    tokens = sum(map(len, rows))
    work = 6 * sum(p.numel() for name, p in net.named_parameters() if "embed" not in name) * tokens / 1e9
    peak = product_rate()
    found = {
        "tokens": tokens,
        "ratio_plain": round(timings["plain"].median / timings["ours"].median, 2),
        "loss_gap": abs(timings["plain"].loss - timings["ours"].loss),
        "gflops_peak": round(peak),
        **{f"tokens_per_cpu_second_{name}": round(tokens / timing.median) for name, timing in timings.items()},
        **{f"mfu_{name}": round(work / timing.median / peak, 2) for name, timing in timings.items()},
    }
    if options.json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{key:28} {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
