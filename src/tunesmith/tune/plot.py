"""A run as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Lines = Sequence[dict[str, Any]]


def plot_run(log: Lines, evaluations: Lines, path: Path) -> None:
    """Above, the loss by step; below, the norm of the gradient beside the learning rate."""
    figure = Figure(figsize=(8, 6))
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
    figure.subplots_adjust(0.1, 0.09, 0.9, 0.98, hspace=0.06)  # to lay it out by measuring would take twice the time
    losses(above, log, evaluations)
    gradients(below, log)
    figure.savefig(path, dpi=120)


def losses(axes: Axes, log: Lines, evaluations: Lines) -> None:
    """Loss of each step, its moving mean, and the held-out loss where it was measured."""
    axes.plot(*curve(log, "loss"), color="0.75", linewidth=0.8, label="training, each step")
    steps, values = curve(log, "loss")
    axes.plot(steps, moving_mean(values, max(1, len(log) // 25)), color="tab:blue", label="training, moving mean")
    if evaluations:
        axes.plot(*curve(evaluations, "loss"), color="tab:orange", marker="o", markersize=3, label="held out")
    axes.set_ylabel("loss (nats per supervised token)")
    axes.grid(alpha=0.3)
    axes.legend()


def gradients(axes: Axes, log: Lines) -> None:
    """Norms before clipping, on a logarithmic scale: a spike is many times the usual."""
    axes.semilogy(*curve(log, "grad_norm"), color="tab:green", linewidth=0.8)
    axes.set_ylabel("gradient norm", color="tab:green")
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    rate = axes.twinx()
    rate.plot(*curve(log, "lr"), color="tab:purple", linewidth=1.2)
    rate.set_ylabel("learning rate", color="tab:purple")
    rate.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", scilimits=(-2, 2))


def curve(lines: Lines, name: str) -> tuple[list[int], list[float]]:
    return [line["step"] for line in lines], [line[name] for line in lines]


def moving_mean(values: Sequence[float], window: int) -> list[float]:
    """Mean of the last `window` values: ([1, 2, 3], 2) -> [1, 1.5, 2.5]."""
    recent = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
    return [sum(part) / len(part) for part in recent]
