"""The train stage: a pinned version of `gold_examples` → weights under `checkpoints/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.errors import TrainingError
from dolly.result import StageResult
from dolly.schema import GOLD_EXAMPLES, TRAINED_ROWS
from dolly.train.launch import Starter, by_hostfile, launch, on_this_machine
from dolly.train.ledger import ledger_rows
from dolly.train.lock import locked
from dolly.train.lookup import Training, read_training, training_spec
from dolly.train.progress import ProgressBar
from dolly.train.spark_launch import on_spark
from dolly.train.spec import TrainSpec

if TYPE_CHECKING:
    from dolly.pipeline import Context


def run(context: Context) -> StageResult:
    """Trains, unless a finished training has the same hash."""
    config = context.config
    with context.tracker.stage("train") as stage:
        spec, rows = training_spec(config, context.state, context.tables, run_id=stage.run_id)
        stage.input(GOLD_EXAMPLES, version=rows.version, role="train")
        stage.params({"seed": spec.seed, "base_sha256": spec.base_sha256, "training": spec.sha256})
        stage.tags({"training_set": rows.sha256})
        with locked(Path(spec.output), context.say), stage.training_metrics(Path(spec.output)):
            training = read_training(spec)
            trained_now = training is None
            if training is None:
                training = _train(context, spec, rows=len(rows.train))
        result = training.result
        context.tables.insert_new(
            TRAINED_ROWS,
            ledger_rows(rows.train, spec, steps=result["steps"]),
            scope=config.name,
            writer="dolly train",
        )
        stage.tags({"trained_now": trained_now, "resumed_at": result["resumed_at"], "weights": training.weights})
        stage.metrics(summary(result))
        context.say(_report_line(result, trained_now=trained_now))
        return stage.result(
            ids={"training": spec.sha256, "training_set": rows.sha256}, paths={"weights": str(training.weights)}
        )


def _train(context: Context, spec: TrainSpec, *, rows: int) -> Training:
    """Runs the training processes and returns the finished training."""
    folder = Path(spec.output)
    spec.write(folder / "spec.json")
    log = context.state.logs / f"train-{folder.name}.log"
    context.say(f"{rows:,} rows, log in {log}")
    with ProgressBar(context.console, currency=spec.currency) as bar:
        launch(
            folder / "spec.json",
            start=_starter(context),
            log=log,
            progress=folder / "progress.json",
            follow=bar.update,
            say=context.say,
        )
    training = read_training(spec)
    if training is None:
        raise TrainingError(
            found=f"processes that ended without an error and left no model in {folder}",
            expected="result.json and final/",
            fix=f"read {log}; all machines must see {folder} as the same folder",
        )
    return training


def _starter(context: Context) -> Starter:
    """The starter that `train.launch` names."""
    train = context.config.train
    if train.launch.by == "spark":
        return on_spark(context.spark, train.processes, gpus=train.launch.gpus)
    if train.launch.by == "hostfile":
        return by_hostfile(Path(train.launch.hostfile or ""), train.launch.arguments)
    return on_this_machine(train.processes)


def summary(result: dict[str, Any]) -> dict[str, float]:
    """The metrics of a finished training."""
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


def _report_line(result: dict[str, Any], *, trained_now: bool) -> str:
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
