"""The training processes: the same losses for any number of them, and a kill loses nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dolly.base_model import weights_sha256
from dolly.errors import UsageError
from dolly.tables import Tables
from dolly.train.launch import Starter, by_hostfile, launch, on_this_machine
from dolly.train.spec import TrainSpec
from dolly.training_set import read_training_set
from tests.support import free_port

pytestmark = [pytest.mark.model, pytest.mark.slow]

STEPS = 5


@pytest.fixture(scope="module")
def spec(finished_run: Any) -> TrainSpec:
    """The training of the session's whole run, cut to five steps."""
    path = next(finished_run.home.glob("checkpoints/tiny-*/spec.json"))
    return dataclasses.replace(TrainSpec.read(path), max_steps=STEPS, epochs=5, batch_size=8, checkpoint_every=100)


def train(spec: TrainSpec, output: Path, start: Starter | None = None, **changes: Any) -> dict[str, Any]:
    """Runs a training to its end; returns its result with the loss of each step."""
    output.mkdir(parents=True, exist_ok=True)
    dataclasses.replace(spec, output=str(output), **changes).write(output / "spec.json")
    launch(
        output / "spec.json",
        start=start or on_this_machine(changes.get("processes", spec.processes)),
        log=output / "log.txt",
        progress=output / "progress.json",
        follow=lambda _: None,
    )
    return json.loads((output / "result.json").read_text())


@pytest.fixture(scope="module")
def alone(spec: TrainSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    output = tmp_path_factory.mktemp("alone")
    return train(spec, output), output


def test_two_processes_of_a_hostfile_give_the_losses_of_one(
    spec: TrainSpec, alone: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    hosts = tmp_path / "hostfile"
    hosts.write_text("127.0.0.1 slots=2\n")
    port = ["--master_port", str(free_port())]
    here = by_hostfile(hosts, ["--no_ssh_check", "--master_addr", "127.0.0.1", *port])
    result = train(spec, tmp_path, here, processes=2, zero_stage=2)
    assert len(result["step_losses"]) == STEPS
    assert result["step_losses"] == pytest.approx(alone[0]["step_losses"], abs=1e-3)
    assert result["losses"]["last"] == pytest.approx(alone[0]["losses"]["last"], abs=1e-3)
    assert_same_weights(tmp_path, alone[1], tolerance=1e-3)


def test_a_hostfile_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hostfile"):
        by_hostfile(tmp_path / "hosts")


def test_adapters_of_two_processes_are_merged_into_the_saved_model(spec: TrainSpec, tmp_path: Path) -> None:
    adapters = {"method": "lora", "lora_rank": 4, "learning_rate": 1e-2, "max_steps": 3}
    result = train(spec, tmp_path, **adapters, processes=2, zero_stage=3)
    saved = load_file(tmp_path / "final" / "model.safetensors")
    assert not [name for name in saved if "lora" in name or "base_layer" in name]
    # The saved model has the loss that training measured with its adapters.
    assert held_out_loss(spec, tmp_path / "final") == pytest.approx(result["losses"]["last"], abs=1e-4)


def test_the_card_names_what_the_weights_come_from(spec: TrainSpec, alone: tuple[dict[str, Any], Path]) -> None:
    card = json.loads((alone[1] / "final" / "dolly.json").read_text())
    assert card["training_set"] == spec.training_set
    assert card["base_sha256"] == weights_sha256(spec.base)


def held_out_loss(spec: TrainSpec, model: Path) -> dict[str, float]:
    from dolly.base_model import load_model
    from dolly.train.batches import tensors_of
    from dolly.train.model import LanguageModelLoss

    rows = read_training_set(Tables(Path(spec.tables_root)), dataset=spec.dataset, version=spec.gold_version)
    module = LanguageModelLoss(load_model(str(model), dtype="float32"))
    sources: dict[str, list[Any]] = {}
    for row in rows.evaluation:
        sources.setdefault(row.source, []).append(row)
    with torch.no_grad():
        return {
            source: float(module(**tensors_of(examples))) / sum(row.trained_tokens for row in examples)
            for source, examples in sources.items()
        }


def assert_same_weights(one: Path, other: Path, *, tolerance: float) -> None:
    first, second = (load_file(folder / "final" / "model.safetensors") for folder in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], atol=tolerance, rtol=0, msg=name)
