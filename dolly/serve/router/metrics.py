"""Counters of the router, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dolly.serve.router.workers import Workers


class Metrics:
    """What is counted; each router has a registry of its own."""

    def __init__(self, workers: Workers) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "dolly_router_requests", "Requests that were passed on or not", ("outcome",), registry=self._registry
        )
        self.resent = Counter(
            "dolly_router_resent",
            "Times that a request was sent to another server",
            ("reason",),
            registry=self._registry,
        )
        there = Gauge("dolly_router_servers", "Servers that get requests", registry=self._registry)
        there.set_function(lambda: len(workers.present))
        self._registry.register(_Running(workers))

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return bytes(generate_latest(self._registry))


class _Running(Collector):
    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("dolly_router_running_requests", "Requests that a server answers", labels=["server"])
        for worker in self._workers.present:
            family.add_metric([worker.url], worker.in_flight)
        yield family
