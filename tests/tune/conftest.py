"""Runs under test are short on what costs them most and is looked at elsewhere."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def little_beside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Answers of four tokens (see test_samples) and no picture (see test_run): over half of a tiny run's time."""
    from tunesmith.tune import run, samples

    own = request.module.__name__.rpartition(".")[2]
    with pytest.MonkeyPatch.context() as patch:
        if own != "test_samples":
            patch.setattr(samples, "LONGEST", 4)
        if own != "test_run":
            patch.setattr(run, "plot_run", lambda *_: None)
        yield
