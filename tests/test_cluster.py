"""The same job on a standalone Spark cluster: a master and two workers on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyspark
import pytest

from dolly.java import find_java
from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables
from tests.support import QUICK_JAVA, Run, dolly, free_port, tiny_config

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture
def master(tmp_path: Path) -> Iterator[str]:
    """The URL of a cluster with two workers of one core each."""
    home = Path(pyspark.__file__).parent
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(tmp_path / "work"),
        "JAVA_HOME": str(find_java()),
        "GLOO_SOCKET_IFNAME": "lo",  # else gloo looks the host's name up
    }
    processes = []

    def start(name: str, *arguments: str) -> None:
        log = (tmp_path / f"{name.rsplit('.', 1)[-1]}.log").open("ab")
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
        processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))

    port = free_port()
    start("master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    for _ in range(2):
        own = ("--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--webui-port", "0")
        start("worker.Worker", *own, f"spark://127.0.0.1:{port}")
    deadline = time.monotonic() + 60
    while (tmp_path / "Worker.log").read_text().count("Successfully registered with master") < 2:
        assert time.monotonic() < deadline, (tmp_path / "Master.log").read_text()[-2000:]
        time.sleep(0.2)
    yield f"spark://127.0.0.1:{port}"
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def gold(home: Path) -> list[dict[str, Any]]:
    rows = Tables(home / "tables").read_arrow(GOLD_EXAMPLES, scope="tiny").to_pylist()
    return sorted(rows, key=lambda row: (row["example_id"], row["part"]))


def test_two_workers_make_the_same_gold_rows_and_train_to_the_same_losses(
    finished_run: Run, tiny_base: Path, tmp_path: Path, master: str
) -> None:
    key = tmp_path / "privacy.key"
    key.write_bytes((finished_run.home / "privacy.key").read_bytes())
    key.chmod(0o600)
    quick = {f"spark.{side}.extraJavaOptions": QUICK_JAVA for side in ("driver", "executor")}
    spark = {"master": master, "shuffle_partitions": 3, "conf": {"spark.executor.memory": "1g"} | quick}
    config = tiny_config(tmp_path, tiny_base, spark=spark, clean={"privacy": {"key_file": str(key)}})
    training = ["train.processes=2", "train.zero_stage=2", "train.launch.by=spark"]
    result = dolly("run", str(config), "--until", "train", *training)
    assert result.returncode == 0, result.stdout + result.stderr
    assert gold(tmp_path / "home") == gold(finished_run.home)
    parted, alone = (trained(home) for home in (tmp_path / "home", finished_run.home))
    assert parted["step_losses"] == pytest.approx(alone["step_losses"], abs=1e-3)
    assert parted["losses"]["last"] == pytest.approx(alone["losses"]["last"], abs=1e-3)
    assert parted["order"] == alone["order"]


def trained(home: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(next(home.glob("checkpoints/tiny-*/result.json")).read_text())
    return result
