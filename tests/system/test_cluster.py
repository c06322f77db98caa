"""The same job on a standalone Spark cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolly.schema import GOLD_EXAMPLES
from dolly.tables import Tables
from tests.support import QUICK_JAVA, TINY_RULES, Run, dolly, tiny_config

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def gold(home: Path) -> list[dict[str, Any]]:
    rows = Tables(home / "tables").read_arrow(GOLD_EXAMPLES, scope="tiny").to_pylist()
    return sorted(rows, key=lambda row: (row["example_id"], row["part"]))


def test_two_workers_make_the_same_gold_rows_and_train_to_the_same_losses(
    finished_run: Run, tiny_base: Path, tmp_path: Path, cluster: str
) -> None:
    key = tmp_path / "privacy.key"
    key.write_bytes((finished_run.home / "privacy.key").read_bytes())
    key.chmod(0o600)
    quick = {f"spark.{side}.extraJavaOptions": QUICK_JAVA for side in ("driver", "executor")}
    spark = {"master": cluster, "shuffle_partitions": 3, "conf": {"spark.executor.memory": "1g"} | quick}
    config = tiny_config(
        tmp_path, tiny_base, spark=spark, clean={"rules": TINY_RULES, "privacy": {"key_file": str(key)}}
    )
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
