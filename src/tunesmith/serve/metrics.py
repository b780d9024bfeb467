"""Counts and times for Prometheus. Labels are routes and models of this server, never what a client wrote."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """One set for each server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("tunesmith_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.tokens = Counter("tunesmith_tokens", "Tokens read and said", ["model", "side"], registry=self.registry)
        self.busy = Gauge("tunesmith_answers_in_work", "Answers that wait or run", registry=self.registry)
        self.stopped = Counter("tunesmith_answers_stopped", "Answers broken off", registry=self.registry)
        self.first = self._seconds("tunesmith_first_token_seconds", "From question to first token")
        self.whole = self._seconds("tunesmith_answer_seconds", "From question to end of answer")

    def _seconds(self, name: str, told: str) -> Histogram:
        return Histogram(name, told, ["model"], buckets=SECONDS, registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    @contextmanager
    def answer(self, model: str) -> Iterator[Callable[[int], None]]:
        """Times an answer; call what it yields with how many tokens came."""
        start, tokens = time.perf_counter(), 0

        def count(fresh: int) -> None:
            nonlocal tokens
            if not tokens:
                self.first.labels(model).observe(time.perf_counter() - start)
            tokens += fresh

        try:
            yield count
        except BaseException:  # a cancelled task, a closed generator, a failed engine
            self.stopped.inc()
            raise
        finally:
            self.whole.labels(model).observe(time.perf_counter() - start)
            self.tokens.labels(model, "said").inc(tokens)
