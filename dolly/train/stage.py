"""The train stage: a pinned version of `gold_examples` → weights under `checkpoints/`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dolly.base_model import locate, weights_sha256
from dolly.errors import DataError
from dolly.schema import GOLD_EXAMPLES, TRAINED_ROWS
from dolly.train.launch import Starter, by_hostfile, launch, on_this_machine
from dolly.train.ledger import ledger_rows
from dolly.train.spark_launch import on_spark
from dolly.train.spec import TrainSpec
from dolly.training_set import TrainingSet, read_training_set

if TYPE_CHECKING:
    from dolly.pipeline import Context
    from dolly.result import StageResult


def run(context: Context) -> StageResult:
    """Trains, unless these very weights have been trained before."""
    config = context.config
    with context.tracker.stage("train") as stage:
        rows = read_training_set(context.tables, dataset=config.name)
        stage.input(GOLD_EXAMPLES, version=rows.version, role="train")
        spec = _spec(context, rows, run_id=stage.run_id)
        folder = Path(spec.output)
        folder.mkdir(parents=True, exist_ok=True)
        stage.params({"seed": spec.seed, "base_sha256": spec.base_sha256, "training": spec.sha256})
        stage.tags({"training_set": rows.sha256})
        with FileLock(folder / ".lock"), stage.training_metrics(folder):
            trained_now = not (folder / "result.json").exists()
            if trained_now:
                spec.write(folder / "spec.json")
                log = context.state.logs / f"train-{folder.name}.log"
                context.say(f"{len(rows.train):,} rows, log in {log}")
                with _bar(context) as follow:
                    launch(
                        folder / "spec.json",
                        start=_starter(context),
                        log=log,
                        progress=folder / "progress.json",
                        follow=follow,
                    )
        result = json.loads((folder / "result.json").read_text())
        context.tables.insert_new(
            TRAINED_ROWS,
            ledger_rows(rows.train, spec, steps=result["steps"]),
            scope=config.name,
            writer="dolly train",
        )
        (context.state.checkpoints / f"{config.name}.latest").write_text(folder.name)
        stage.tags({"trained_now": trained_now, "resumed_at": result["resumed_at"], "weights": folder / "final"})
        stage.metrics(summary(result))
        context.say(_told(result, trained_now=trained_now))
        return stage.result(
            ids={"training": spec.sha256, "training_set": rows.sha256}, paths={"weights": str(folder / "final")}
        )


def _spec(context: Context, rows: TrainingSet, *, run_id: str) -> TrainSpec:
    config = context.config
    base = locate(config.model.base, allow_network=config.allow_network)
    spec = TrainSpec.of(
        config,
        base=base,
        base_sha256=weights_sha256(base),
        gold_version=rows.version,
        training_set=rows.sha256,
        tables_root=context.state.tables,
        run_id=run_id,
    )
    return replace(spec, output=str(context.state.checkpoints / f"{config.name}-{spec.sha256[:12]}"))


def _starter(context: Context) -> Starter:
    """Where the config wants the processes to run."""
    train = context.config.train
    if train.launch.by == "spark":
        return on_spark(context.spark, train.processes, gpus=train.launch.gpus)
    if train.launch.by == "hostfile":
        return by_hostfile(Path(train.launch.hostfile or ""), train.launch.arguments)
    return on_this_machine(train.processes)


def summary(result: dict[str, Any]) -> dict[str, float]:
    """The figures of a finished training."""
    figures = {
        "steps": result["steps"],
        "tokens_seen": result["tokens"],
        "trained_tokens_seen": result["trained_tokens"],
        "tokens_per_second": result["tokens"] / max(result["seconds"], 1e-9),
        "peak_memory_gib": result["memory"]["peak"] / 2**30,
    }
    for source, before in result["losses"].get("first", {}).items():
        figures[f"loss_before/{source}"] = before
        figures[f"loss_after/{source}"] = result["losses"]["last"][source]
    return figures


def latest_training(context: Context) -> Path:
    """Folder of the config's last finished training.

    Raises:
        DataError: there is none.
    """
    pointer = context.state.checkpoints / f"{context.config.name}.latest"
    if not pointer.exists():
        raise DataError(
            found=f"no finished training of {context.config.name} in {context.state.checkpoints}",
            expected="the weights that the train stage leaves",
            fix="run the train stage first",
        )
    return context.state.checkpoints / pointer.read_text()


def _told(result: dict[str, Any], *, trained_now: bool) -> str:
    losses = ", ".join(
        f"{source} {before:.3f} → {result['losses']['last'][source]:.3f}"
        for source, before in result["losses"].get("first", {}).items()
    )
    how = "trained" if trained_now else "already trained, nothing to do:"
    speed = result["tokens"] / max(result["seconds"], 1e-9)
    resumed = f", resumed at step {result['resumed_at']}" if result["resumed_at"] else ""
    return (
        f"{how} {result['steps']} steps{resumed}, {result['tokens']:,} tokens ({result['trained_tokens']:,} "
        f"with loss), {speed:.0f} tokens/s; held-out loss: {losses or 'no held-out rows'}"
    )


class _bar:
    """A progress bar that follows the training's progress file."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=context.console,
        )
        self._tenth = 0

    def __enter__(self) -> Any:
        self._progress.start()
        self._task = self._progress.add_task("loading", total=None, figures="")
        return self._follow

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _follow(self, now: dict[str, Any]) -> None:
        figures = ""
        if "train/loss" in now:
            figures = f"loss {now['train/loss']:.3f}, {now['train/tokens_per_second']:.0f} tokens/s"
            if now["train/cost"]:
                figures += f", {now['train/cost']:.3f} {self._context.config.cost.currency}"
        self._progress.update(
            self._task, description="training", completed=now["step"], total=now["steps"], figures=figures
        )
        tenth = 10 * now["step"] // max(1, now["steps"])
        if not self._context.console.is_terminal and tenth > self._tenth and figures:
            self._tenth = tenth
            self._context.say(f"step {now['step']}/{now['steps']}: {figures}")
