"""Training processes on the nodes of a Spark cluster, one task each, in barrier mode: all start at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dolly.train.launch import Starter

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def on_spark(spark: SparkSession, processes: int, *, gpus: bool) -> Starter:
    """Workers in the executors of a session; all nodes must share the folder `home`.

    Args:
        spark: the session; it must have as many free task slots as processes.
        processes: how many.
        gpus: does each task have its own GPU (`spark.task.resource.gpu.amount`)?
    """
    return lambda spec, log: _SparkJob(spark, spec, log, processes=processes, gpus=gpus)


class _SparkJob:
    """A barrier stage, waited for by a thread."""

    def __init__(self, spark: SparkSession, spec: Path, log: Path, *, processes: int, gpus: bool) -> None:
        self._spark, self._log = spark, log
        self._code: int | None = None
        self._group = f"dolly train {spec.parent.name}"
        self._thread = threading.Thread(
            target=self._run, args=(str(spec), str(log), processes, gpus), name="spark-training", daemon=True
        )
        self._thread.start()

    def poll(self) -> int | None:
        return None if self._thread.is_alive() else self._code

    def terminate(self) -> None:
        self._spark.sparkContext.cancelJobGroup(self._group)
        self._thread.join(timeout=60)

    def _run(self, spec: str, log: str, processes: int, gpus: bool) -> None:
        from pyspark.ml.deepspeed.deepspeed_distributor import DeepspeedTorchDistributor

        try:
            self._spark.sparkContext.setJobGroup(self._group, "train", interruptOnCancel=True)
            distributor = DeepspeedTorchDistributor(numGpus=1, nnodes=processes, localMode=False, useGpu=gpus)
            distributor.run(work, spec, log)
        except Exception as error:
            with self._log.open("a") as file:
                file.write(f"{type(error).__name__}: {error}\n")  # whole: it holds what torchrun printed
        # The distributor returns the value of any of the processes; the result file is written at the end of all.
        self._code = 0 if Path(spec).with_name("result.json").exists() else 1


def work(spec: str, log: str) -> None:
    """Runs one worker in a process that a Spark task has started; its output goes to the shared log.

    It returns after an error that a retry would not mend. After any other failure Spark runs the stage again, and
    the training resumes from the last checkpoint.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    from dolly.train.worker import guarded

    guarded(spec)
