"""Runs the stages in their order."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml
from rich.console import Console

from dolly.base_model import locate
from dolly.config import Config
from dolly.errors import TrackingError, UsageError
from dolly.extras import require_for
from dolly.result import RunResult, StageResult
from dolly.run_overview import description, headline, run_name, run_params
from dolly.secrets import without_secrets
from dolly.spark import config_session, java_watched
from dolly.state import State
from dolly.tables import Tables, open_store
from dolly.tables.migrations import upgrade
from dolly.trainable import require_trainable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dolly.tracking import ParentRun, Tracker

STAGES = ("ingest", "clean", "prepare", "train", "evaluate", "register", "serve")
_DATA = ("ingest", "clean", "prepare")
_WITH_PROGRESS = ("train", "evaluate")  # these show their own progress bar
_WITHOUT_SPARK = ("train", "evaluate", "register", "serve")


def make_console() -> Console:
    """The console that the stages print to."""
    return Console(highlight=False, soft_wrap=True)


@dataclass
class Context:
    """The arguments of a stage: config, state, tables, tracker, console, and a Spark session on demand.

    `training_set`: hash of the training set that prepare made in this run; None if it did not run.
    """

    config: Config
    state: State
    tables: Tables
    tracker: Tracker
    console: Console = field(default_factory=make_console)
    training_set: str | None = None
    _spark: SparkSession | None = None

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started at first use."""
        if self._spark is None:
            self._spark = config_session(self.config, self.state)
        return self._spark

    def stop_spark(self) -> None:
        """Stops the session before training, to free its memory, unless Dolly did not start it."""
        if self._spark is not None and self.config.spark.master is not None:
            self._spark.stop()
            self._spark = None

    def say(self, text: str) -> None:
        """Prints one line of a stage's report."""
        self.console.print(f"  {text}", markup=False)


def run_stages(config: Config, stages: tuple[str, ...], overrides: Sequence[str] = ()) -> RunResult:
    """Runs stages in order, under one MLflow run.

    Args:
        config: the experiment.
        stages: names from `STAGES`, in their order.
        overrides: key=value arguments that the config was loaded with, for the run's name.

    Raises:
        ModelError: there is no such base model, or it can't be trained; raised before any work.
        EnvironmentFault: a package is missing, or the tables' store can't be used; raised before any work.
        TrackingError: MLflow's store can't be used; raised before any work.
    """
    if config.allow_network:
        os.environ["HF_HUB_OFFLINE"] = "0"
    state = State.of(config)
    _require_ready(config, state, stages)
    from dolly.tracking import Tracker

    console = make_console()
    tables = Tables(state.tables, lambda: context.spark)
    tracker = Tracker(
        state,
        tables=tables,
        experiment=config.name,
        price_per_hour=config.cost.price_per_hour,
        currency=config.cost.currency,
        say=lambda text: console.print(f"  {text}", markup=False),
    )
    context = Context(config, state, tables, tracker, console)
    plain = without_secrets(config.model_dump(mode="json", by_alias=True))
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    data_end = next((name for name in reversed(stages) if name in _DATA), None)
    results: dict[str, StageResult] = {}
    with java_watched(state.spark_log):
        try:
            with (
                tracker.parent(
                    name=run_name(config, stages, overrides), config=text, params=run_params(config)
                ) as parent,
                _described(parent, results, stages, overrides),
            ):
                _upgrade(context, stages)
                for name in stages:
                    results[name] = _run_stage(context, name, with_report=name == data_end)
        finally:
            context.stop_spark()
    return RunResult(parent.run_id, headline(results), results)


def _require_ready(config: Config, state: State, stages: tuple[str, ...]) -> None:
    """Checks before any work all that a run needs but MLflow's store, which `Tracker` checks."""
    state.require_room()
    require_for(config, state, stages)
    if {"prepare", "train"} & set(stages):
        require_trainable(locate(config.model.base, allow_network=config.allow_network))
    with java_watched(state.spark_log):
        open_store(state.tables, lambda: config_session(config, state)).check()


@contextmanager
def _described(
    parent: ParentRun, results: Mapping[str, StageResult], stages: Sequence[str], overrides: Sequence[str]
) -> Iterator[None]:
    """Logs the headline figures and the description of the run, also if a stage fails."""

    def describe(failed: str | None = None) -> None:
        figures = headline(results)
        text = description(results, figures, stages=stages, overrides=overrides, failed=failed)
        parent.describe(figures, text)

    try:
        yield
    except TrackingError:
        raise
    except Exception as error:
        with suppress(TrackingError):  # report the stage's error, not this one
            describe(failed=" ".join(str(error).split())[:500])
        raise
    describe()


def _upgrade(context: Context, stages: tuple[str, ...]) -> None:
    """Migrates tables of an older version of Dolly before a data stage reads them."""
    if set(stages) & set(_DATA):
        config = context.config
        sources = [source.name for source in config.sources]
        for line in upgrade(context.tables, lambda: context.spark, dataset=config.name, sources=sources):
            context.say(line)


def _run_stage(context: Context, name: str, *, with_report: bool) -> StageResult:
    if name in _WITHOUT_SPARK and not (name == "train" and context.config.train.launch.by == "spark"):
        context.stop_spark()
    started = time.monotonic()
    context.console.print(f"[bold]{name}[/bold]")
    with nullcontext() if name in _WITH_PROGRESS else context.console.status(name):
        result: StageResult = importlib.import_module(f"dolly.{name}.stage").run(context)
    if with_report:
        _report(context)
    context.console.print(f"  {time.monotonic() - started:.1f} s", style="dim")
    return result


def _report(context: Context) -> None:
    """Logs the data report of the data stages."""
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
    """The stages from `first` to `last`, inclusive.

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
