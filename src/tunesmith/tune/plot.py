"""The loss of a run as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def plot_loss(log: Sequence[dict[str, Any]], evaluations: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss by step, with its moving mean, and the held-out loss where it was measured."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step", ylabel="loss (nats per supervised token)")
    steps, losses = [line["step"] for line in log], [line["loss"] for line in log]
    axes.plot(steps, losses, color="0.75", linewidth=0.8, label="training, each step")
    axes.plot(steps, moving_mean(losses, max(1, len(losses) // 25)), color="tab:blue", label="training, moving mean")
    if evaluations:
        held_out = [line["step"] for line in evaluations], [line["loss"] for line in evaluations]
        axes.plot(*held_out, color="tab:orange", marker="o", markersize=3, label="held out")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def moving_mean(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last `window` values: ([1, 2, 3], 2) -> [1, 1.5, 2.5]."""
    recent = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
    return [sum(part) / len(part) for part in recent]
