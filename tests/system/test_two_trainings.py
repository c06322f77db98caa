"""Two settings trained at once in one home: each is evaluated and registered by its own config."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dolly.base_model import weights_sha256
from dolly.cli import main
from tests.support import Run, mlflow_client, tiny_config

pytestmark = [pytest.mark.model, pytest.mark.slow]
EPOCHS = {"one": 1.5, "two": 3.0}


def test_each_config_registers_its_own_weights(finished_run: Run, tiny_base: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(finished_run.home / "tables", home / "tables")
    shutil.copy2(finished_run.home / "privacy.key", home)
    config = str(tiny_config(tmp_path, tiny_base))
    commands = {
        name: [
            config,
            "--from",
            "train",
            f"train.epochs={epochs}",
            f"register.name={name}",
            "evaluate.max_loss_ratio=9",
        ]
        for name, epochs in EPOCHS.items()
    }
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", "dolly.cli", "run", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for name, arguments in commands.items()
    }
    for process in started.values():
        printed, _ = process.communicate(timeout=400)
        assert process.returncode == 0, printed
    # Once more in the other order, now that both are there: nothing follows what ran last.
    for name in ("two", "one"):
        for stage in ("evaluate", "register"):
            assert main([stage, *[word for word in commands[name] if word not in ("--from", "train")]]) == 0
    client = mlflow_client(home)
    specs = [json.loads(path.read_text()) | {"folder": path.parent} for path in home.glob("checkpoints/*/spec.json")]
    folders = {spec["epochs"]: spec["folder"] for spec in specs}
    weights = {name: weights_sha256(str(folders[epochs] / "final")) for name, epochs in EPOCHS.items()}
    assert len(set(weights.values())) == 2
    for name in EPOCHS:
        (version,) = client.search_model_versions(f"name = '{name}'")
        assert version.tags["weights_sha256"] == weights[name]
        assert client.get_model_version_by_alias(name, "champion").version == version.version
