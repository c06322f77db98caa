"""Counters of the server, in Prometheus' format."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from dolly.serve.admission import Admission
from dolly.serve.answers import Piece, Task

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """What is counted; each server has a registry of its own."""

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        labels, registry = ("model", "version"), self._registry
        self.requests = Counter(
            "dolly_requests", "Requests that were answered or not", (*labels, "outcome"), registry=registry
        )
        self._prompt = Counter("dolly_prompt_tokens", "Tokens of prompts", labels, registry=registry)
        self.made = Counter("dolly_generated_tokens", "Generated tokens", labels, registry=registry)
        self.first = Histogram(
            "dolly_first_token_seconds", "Time to the first token", labels, buckets=_SECONDS, registry=registry
        )
        self.whole = Histogram(
            "dolly_answer_seconds", "Time to the last token", labels, buckets=_SECONDS, registry=registry
        )
        running = Gauge("dolly_running_answers", "Answers that are generated", registry=registry)
        running.set_function(lambda: admission.in_use)
        waiting = Gauge("dolly_waiting_requests", "Requests that wait for a place", registry=registry)
        waiting.set_function(lambda: admission.waiting)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return bytes(generate_latest(self._registry))

    def begin(self, task: Task) -> RequestMetrics:
        """Counts a request that is given to a model."""
        labels = (task.model.name, task.model.version)
        self._prompt.labels(*labels).inc(sum(map(len, task.prompts)))
        return RequestMetrics(self, labels)


class RequestMetrics:
    """Counts one request: its pieces, and what became of it."""

    def __init__(self, metrics: Metrics, labels: tuple[str, str]) -> None:
        self._metrics, self._labels = metrics, labels
        self._started, self._first = time.monotonic(), True

    def note(self, piece: Piece) -> None:
        """Counts a piece of an answer."""
        if self._first and piece.tokens:
            self._first = False
            self._metrics.first.labels(*self._labels).observe(time.monotonic() - self._started)
        self._metrics.made.labels(*self._labels).inc(len(piece.tokens))

    def end(self, outcome: str) -> None:
        """Counts the end: `answered`, `cancelled` or the status of a refusal."""
        if outcome == "answered":
            self._metrics.whole.labels(*self._labels).observe(time.monotonic() - self._started)
        self._metrics.requests.labels(*self._labels, outcome).inc()
