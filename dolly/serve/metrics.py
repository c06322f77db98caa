"""Counters of the server, in Prometheus' format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dolly.serve.admission import Admission
from dolly.serve.answers import Piece, Task
from dolly.serve.errors import Refusal

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """What is counted; each server has a registry of its own."""

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        labels, registry = ("model", "version"), self._registry
        self._requests = Counter(
            "dolly_requests", "Requests that were answered or not", (*labels, "outcome"), registry=registry
        )
        self._prompt = Counter("dolly_prompt_tokens", "Tokens of prompts", labels, registry=registry)
        self._made = Counter("dolly_generated_tokens", "Generated tokens", labels, registry=registry)
        self._first = Histogram(
            "dolly_first_token_seconds", "Time to the first token", labels, buckets=_SECONDS, registry=registry
        )
        self._whole = Histogram(
            "dolly_answer_seconds", "Time to the last token", labels, buckets=_SECONDS, registry=registry
        )
        running = Gauge("dolly_running_answers", "Answers that are generated", registry=registry)
        running.set_function(lambda: admission.in_use)
        waiting = Gauge("dolly_waiting_requests", "Requests that wait for a place", registry=registry)
        waiting.set_function(lambda: admission.waiting)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return bytes(generate_latest(self._registry))

    @contextmanager
    def request(self, task: Task) -> Iterator[Callable[[Piece], None]]:
        """Counts a request while the block runs; yields a function that counts its pieces."""
        labels = (task.model.name, task.model.version)
        started, first, outcome = time.monotonic(), True, "cancelled"
        self._prompt.labels(*labels).inc(sum(map(len, task.prompts)))

        def note(piece: Piece) -> None:
            nonlocal first
            if first and piece.tokens:
                first = False
                self._first.labels(*labels).observe(time.monotonic() - started)
            self._made.labels(*labels).inc(len(piece.tokens))

        try:
            yield note
            outcome = "answered"
            self._whole.labels(*labels).observe(time.monotonic() - started)
        except Refusal as refusal:
            outcome = str(refusal.status)
            raise
        finally:
            self._requests.labels(*labels, outcome).inc()
