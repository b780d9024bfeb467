"""What a person sees of a run."""

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from tunesmith import messages
from tunesmith.tune.loop import Report
from tunesmith.tune.samples import Sample
from tunesmith.tune.watch import Live, clipped, figures, short


def report(step: int, seconds: float = 2.0) -> Report:
    return Report(step, 12.3456, 1.234e-5, 0.5678, 43_210, 123_456, seconds, {}, 0.234)


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(messages, "language", lambda: request.param)
    return str(request.param)


def test_the_figures_of_a_step_fit_into_80_columns(language: str) -> None:
    text = figures([report(1)])
    assert all(part in text for part in ("12.35", "1.2e-05", "|g| 0.568", "61.7k", "21.6k", "MFU 23%", "GB"))
    assert cell_len(text) <= 80


def test_the_speed_is_that_of_the_recent_steps_together() -> None:
    assert "30.9k tok/s, 10.8k learnt" in figures([report(1, seconds=6.0), report(2, seconds=2.0)])


def test_a_terminal_shows_a_bar_and_under_it_the_figures(language: str) -> None:
    out = StringIO()
    with Live(Console(file=out, width=80, force_terminal=True, color_system=None)) as live:
        live.begin(100, 0)
        live.step(report(7))
        live.bar.refresh()
        shown = out.getvalue()
    bar, below = shown.split("\n")[-2:]
    assert "7/100" in bar
    assert below.startswith(figures([report(7)])[:60])
    assert "…" not in below


def test_elsewhere_a_line_now_and_then() -> None:
    out = StringIO()
    for every in (-1.0, 60.0):
        with Live(Console(file=out, width=80, soft_wrap=True), every=every) as live:
            live.begin(100, 0)
            for step in (1, 2, 3):
                live.step(report(step))
    lines = out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 1", "step 2", "step 3"]
    assert all(line.endswith("s left") for line in lines)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_each_answer_is_one_line_beside_what_was_wanted(language: str, width: int) -> None:
    out = StringIO()
    with Live(Console(file=out, width=width, force_terminal=True, color_system=None)) as live:
        live.samples(3, [Sample("?", "猫坐在\n垫子上，" * 30, "the cat\nsat " * 30), Sample("?", "yes", "no")])
    first, second = out.getvalue().splitlines()
    assert cell_len(first) <= width
    assert "猫坐在 垫子上" in first
    assert "the cat sat" in first
    assert "yes" in second
    assert "no" in second


def test_a_text_is_cut_by_columns_not_by_letters() -> None:
    assert clipped("猫猫猫猫", 5) == "猫猫…"
    assert clipped("a\n b", 5) == "a b"


def test_large_numbers_are_short() -> None:
    assert [short(number) for number in (950.4, 12_345, 1_200_000)] == ["950", "12.3k", "1.2M"]
