"""A progress bar that follows a training; lines of text where the output is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console

_LINES = 10  # over the whole training


class ProgressBar:
    """Shows the steps of a training while the `with` block runs.

    Args:
        console: where.
        currency: of `train/cost`.
    """

    def __init__(self, console: Console, *, currency: str) -> None:
        self._console, self._currency = console, currency
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._printed = 0

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("loading", total=None, figures="")
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, metrics: dict[str, Any]) -> None:
        """Shows the newest metrics: `step`, `steps` and, after a step, the names that `Trainer` reports."""
        figures = ""
        if "train/loss" in metrics:
            figures = f"loss {metrics['train/loss']:.3f}, {metrics['train/tokens_per_second']:.0f} tokens/s"
            if metrics["train/cost"]:
                figures += f", {metrics['train/cost']:.3f} {self._currency}"
        step, steps = metrics["step"], metrics["steps"]
        self._progress.update(self._task, description="training", completed=step, total=steps, figures=figures)
        line = _LINES * step // max(1, steps)
        if not self._console.is_terminal and line > self._printed and figures:
            self._printed = line
            self._console.print(f"  step {step}/{steps}: {figures}", markup=False)
