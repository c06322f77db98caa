"""Sends a training's metrics from a journal file to MLflow.

The trainer writes a line per step and never waits for MLflow. Meanwhile a thread of the stage sends new lines in
batches. Lines that can't be sent stay in the file; the next run of the same command sends them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.tracking.retry import temporary

if TYPE_CHECKING:
    from mlflow.entities import Metric

JOURNAL, SENT = "metrics.jsonl", "metrics.sent"
_BATCH_LINES = 500
_BATCH_METRICS = 1000  # MLflow's limit for one request
_PERIOD, _LONGEST_PAUSE = 1.0, 15.0  # seconds between two batches; after failures


class MetricJournal:
    """Appends the metrics of one run to the journal in a training's folder; needs no MLflow."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._run_id = run_id
        self._file = (folder / JOURNAL).open("ab+")
        self._end_torn_line()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Appends one line; it survives the end of this process."""
        line = {"run_id": self._run_id, "step": step, "timestamp": int(time.time() * 1000)}
        numbers = {key: float(value) for key, value in values.items()}
        self._file.write(json.dumps(line | {"values": numbers}).encode() + b"\n")
        self._file.flush()

    def _end_torn_line(self) -> None:
        """Ends an incomplete line, which a killed trainer may have left."""
        size = self._file.seek(0, 2)
        if size:
            self._file.seek(size - 1)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")


class MetricSender:
    """Sends the journal of a folder in a thread.

    MLflow's SQL stores drop duplicate points, so that a batch can be sent again if the response was lost.

    Args:
        folder: the training's folder.
        send: logs metrics in the run with an id; may raise.
    """

    def __init__(self, folder: Path, send: Callable[[str, Sequence[Metric]], None]) -> None:
        self._journal, self._sent = folder / JOURNAL, folder / SENT
        self._send = send
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="metrics", daemon=True)
        self.refused: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def close(self, *, seconds: float) -> bool:
        """Sends the remaining lines, for at most `seconds` and one request; returns whether all are sent."""
        deadline = time.monotonic() + seconds
        self._closing.set()
        self._thread.join(seconds)
        pause = _PERIOD / 4
        while not self._thread.is_alive() and not self.send_new():
            if time.monotonic() + pause > deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return not self._thread.is_alive()

    def send_new(self) -> bool:
        """Sends the new lines; returns False if MLflow could not be reached."""
        with self._lock:
            while lines := self._next_lines():
                records = [record for line in lines if (record := _record(line))]
                for run_id, of_run in groupby(records, key=lambda record: str(record["run_id"])):
                    if not self._send_run(run_id, list(of_run)):
                        return False
                self._remember(sum(map(len, lines)))
            return True

    def _follow(self) -> None:
        pause = _PERIOD
        while not self._closing.wait(pause):
            pause = _PERIOD if self.send_new() else min(2 * pause, _LONGEST_PAUSE)

    def _next_lines(self) -> list[bytes]:
        """The next complete lines."""
        if not self._journal.exists():
            return []
        with self._journal.open("rb") as file:
            file.seek(self._offset())
            return [line for line in islice(file, _BATCH_LINES) if line.endswith(b"\n")]

    def _offset(self) -> int:
        try:
            return int(self._sent.read_text())
        except (OSError, ValueError):
            return 0

    def _remember(self, more: int) -> None:
        staged = self._sent.with_suffix(".sent.tmp")
        staged.write_text(str(self._offset() + more))
        staged.replace(self._sent)

    def _send_run(self, run_id: str, records: list[dict[str, Any]]) -> bool:
        metrics = [metric for record in records for metric in _metrics(record)]
        for start in range(0, len(metrics), _BATCH_METRICS):
            if not self._try(run_id, metrics[start : start + _BATCH_METRICS]):
                return False
        return True

    def _try(self, run_id: str, metrics: Sequence[Metric]) -> bool:
        """Sends one batch; returns False if MLflow is unavailable. Metrics that MLflow refuses are skipped."""
        try:
            self._send(run_id, metrics)
        except Exception as error:
            if temporary(error):
                return False
            if len(metrics) == 1 or _run_is_gone(error):
                self.refused.append(f"{metrics[0].key} of run {run_id}: {error}")
                return True
            half = len(metrics) // 2
            return self._try(run_id, metrics[:half]) and self._try(run_id, metrics[half:])
        return True


def _run_is_gone(error: Exception) -> bool:
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST"


def _record(line: bytes) -> dict[str, Any] | None:
    """A line's content; None for an incomplete line of a killed trainer."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and {"run_id", "step", "timestamp", "values"} <= set(record) else None


def _metrics(record: Mapping[str, Any]) -> list[Metric]:
    from mlflow.entities import Metric

    return [Metric(key, value, record["timestamp"], record["step"]) for key, value in record["values"].items()]
