"""The stages in their order, and what each of them is given."""

from __future__ import annotations

import importlib
import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from dolly.config import Config
from dolly.errors import UsageError
from dolly.extras import require_for
from dolly.secrets import without_secrets
from dolly.spark import config_session, java_watched
from dolly.state import State
from dolly.tables import Tables, open_store
from dolly.tables.migrations import upgrade

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dolly.tracking import Tracker

STAGES = ("ingest", "clean", "prepare", "train", "evaluate", "register", "serve")
_DATA = ("ingest", "clean", "prepare")
_WITH_PROGRESS = ("train", "evaluate")  # these show a bar of their own
_WITHOUT_SPARK = ("train", "evaluate", "register", "serve")


@dataclass
class Context:
    """What a stage is given: the config, its tables, a run to record in, a Spark session on demand.

    `training_set` is the hash of the one that prepare made in this run; None if it did not run.
    """

    config: Config
    state: State
    tables: Tables
    tracker: Tracker
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    training_set: str | None = None
    _spark: SparkSession | None = None

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started at first use."""
        if self._spark is None:
            self._spark = config_session(self.config, self.state)
        return self._spark

    def stop_spark(self) -> None:
        """Ends the session, and with it what it holds in memory, before training; one that was given stays."""
        if self._spark is not None and self.config.spark.master is not None:
            self._spark.stop()
            self._spark = None

    def say(self, text: str) -> None:
        """Prints one line of a stage's report."""
        self.console.print(f"  {text}", markup=False)


def run_stages(config: Config, stages: tuple[str, ...]) -> None:
    """Runs stages in order, under one MLflow run.

    Args:
        config: the experiment.
        stages: names from `STAGES`, in their order.
    """
    if config.allow_network:
        os.environ["HF_HUB_OFFLINE"] = "0"
    state = State.of(config)
    require_for(config, state, stages)
    open_store(state.tables, lambda: config_session(config, state)).check()
    from dolly.tracking import Tracker

    tracker = Tracker(
        state,
        experiment=config.name,
        price_per_hour=config.cost.price_per_hour,
        currency=config.cost.currency,
    )
    context = Context(config, state, Tables(state.tables, lambda: context.spark), tracker)
    plain = without_secrets(config.model_dump(mode="json", by_alias=True))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    run_name = " → ".join(dict.fromkeys((stages[0], stages[-1])))
    data_end = next((name for name in reversed(stages) if name in _DATA), None)
    with java_watched(state.spark_log):
        try:
            with tracker.parent(name=run_name, config=text, params=_flat(plain)):
                _upgrade(context, stages)
                for name in stages:
                    _run_stage(context, name, with_report=name == data_end)
        finally:
            context.stop_spark()


def _upgrade(context: Context, stages: tuple[str, ...]) -> None:
    """Brings tables of an older version of Dolly to today's columns before a data stage reads them."""
    if set(stages) & set(_DATA):
        config = context.config
        sources = [source.name for source in config.sources]
        for line in upgrade(context.tables, lambda: context.spark, dataset=config.name, sources=sources):
            context.say(line)


def _run_stage(context: Context, name: str, *, with_report: bool) -> None:
    if name in _WITHOUT_SPARK and not (name == "train" and context.config.train.launch.by == "spark"):
        context.stop_spark()
    started = time.monotonic()
    context.console.print(f"[bold]{name}[/bold]")
    with nullcontext() if name in _WITH_PROGRESS else context.console.status(name):
        importlib.import_module(f"dolly.{name}.stage").run(context)
    if with_report:
        _report(context)
    context.console.print(f"  {time.monotonic() - started:.1f} s", style="dim")


def _report(context: Context) -> None:
    """Keeps the page that tells what the data stages made of the data."""
    from dolly.report import data_report

    page, figures = data_report(
        context.tables,
        context.spark,
        dataset=context.config.name,
        sources=context.config.sources,
        previous=context.tracker.last_report(),
        training_set=context.training_set,
    )
    context.tracker.keep_report(page, figures)
    context.say("report.html is in the run's artifacts (dolly ui)")


def span(first: str | None, last: str | None) -> tuple[str, ...]:
    """The stages from `first` until `last`, both included.

    Raises:
        UsageError: an unknown stage, or an empty span.
    """
    for name in (first, last):
        if name is not None and name not in STAGES:
            raise UsageError(found=f"the stage {name!r}", expected=", ".join(STAGES), fix="name one of them")
    start = STAGES.index(first) if first else 0
    end = STAGES.index(last) if last else len(STAGES) - 1
    if start > end:
        raise UsageError(
            found=f"--from {first} --until {last}", expected="stages in their order", fix=" → ".join(STAGES)
        )
    return STAGES[start : end + 1]


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} → {"a.b": 1}."""
    if isinstance(node, dict):
        pairs = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, list) and any(isinstance(value, dict) for value in node):
        pairs = [(str(position), value) for position, value in enumerate(node)]
    else:
        return {prefix: node}
    flat: dict[str, Any] = {}
    for key, value in pairs:
        flat |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return flat
