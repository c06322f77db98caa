"""The training process itself: without Spark, and never losing a training to its last step."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dolly.errors import ModelError
from dolly.inference import ChatModel
from dolly.prompts import Prompt
from dolly.state import State
from dolly.tables import Tables
from dolly.train.lookup import training_spec
from dolly.train.spec import TrainSpec
from dolly.train.worker import try_export
from tests.gold import gold_row, small_config, write_gold
from tests.support import free_port

pytestmark = [pytest.mark.model, pytest.mark.slow]

# Runs the worker; modules of Spark can't be imported, and the export can be made to fail.
PROGRAM = """
import sys
class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyspark", "py4j", "delta"):
            raise ModuleNotFoundError(f"No module named {name!r} on this machine", name=name)
sys.meta_path.insert(0, Forbidden())
from dolly.train import worker
if sys.argv[2] == "full disk":
    def export(spec, weights):
        raise OSError("No space left on device")
    worker.export = export
sys.exit(worker.guarded(sys.argv[1]))
"""


def work(spec: TrainSpec, failure: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the only process of a training."""
    spec.write(Path(spec.output, "spec.json"))
    group = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(Path(spec.output, "spec.json")), failure],
        env=os.environ | group | {"MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def spec_of(home: Path, base: Path) -> TrainSpec:
    config = small_config(home, base)
    write_gold(config, [gold_row(config, number) for number in range(6)])
    state = State.of(config)
    import mlflow

    client = mlflow.MlflowClient(state.tracking)
    run = client.create_run(client.create_experiment("tiny"))
    spec, _ = training_spec(config, state, Tables(state.tables), run_id=run.info.run_id)
    Path(spec.output).mkdir()
    return spec


def test_a_failed_export_is_made_up_for_without_spark_and_without_training_again(
    tiny_base: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    # transformers loads these settings and refuses to save them.
    refused = {"do_sample": False, "temperature": 0.6, "repetition_penalty": 1.1}
    (base / "generation_config.json").write_text(json.dumps(refused))
    spec = spec_of(tmp_path / "home", base)
    failed = work(spec, "full disk")
    assert failed.returncode != 0
    assert "No space left on device" in failed.stderr
    assert not Path(spec.output, "result.json").exists()
    done = work(spec)
    assert done.returncode == 0, done.stderr
    result = json.loads(Path(spec.output, "result.json").read_text())
    assert result["resumed_at"] == result["steps"] == 2
    card = json.loads(Path(spec.output, "final", "dolly.json").read_text())
    assert (card["dtype"], card["dataset"], card["training"]) == ("float32", "tiny", spec.sha256)
    model = ChatModel.from_trained(Path(spec.output, "final"))
    assert model.model.generation_config.repetition_penalty is None


def test_a_base_that_cannot_be_saved_is_refused_before_training(tiny_base: Path, tmp_path: Path) -> None:
    model = ChatModel.from_base(str(tiny_base), prompt=Prompt("chatml"), dtype="float32")
    spec = dataclasses.replace(spec_of(tmp_path / "home", tiny_base))
    try_export(spec, model.model, model.tokenizer)
    model.model.generation_config.update(do_sample=False, temperature=0.6)
    with pytest.raises(ModelError, match="can't be saved"):
        try_export(spec, model.model, model.tokenizer)
    assert list(Path(spec.output).iterdir()) == []
