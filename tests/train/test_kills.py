"""A training that is killed anywhere goes on, and ends with the very weights of one that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.specs import plain_spec
from dolly.train.checkpoint import newest_whole
from dolly.train.spec import TrainSpec
from dolly.training_set import Example

pytestmark = [pytest.mark.model, pytest.mark.slow]

ROWS, BATCH, STEPS = 10, 4, 6  # the third step takes rows of the second epoch
POINTS = 4  # at which it is stopped here, for each signal; the system tests take 25
# Imported once, by the process that all trainings are forked from.
PRELOADED = [
    "torch",
    "deepspeed",
    "deepspeed.runtime.zero.muon.muon_optimizer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.generation.utils",
    "dolly.train.engine",
]


def example(number: int) -> Example:
    draw = np.random.default_rng(number)
    length = int(draw.integers(8, 40))
    return Example(f"row{number}", "s", draw.integers(3, 99, length), np.arange(length) >= length // 3)


def spec(folder: Path, **changes: Any) -> TrainSpec:
    values: dict[str, Any] = {"output": str(folder), "batch_size": BATCH, "block_tokens": 48, "max_steps": STEPS}
    values |= {"learning_rate": 1e-2, "schedule": "cosine", "warmup_share": 0.2, "weight_decay": 0.01, "seed": 5}
    values |= {"betas": (0.9, 0.99), "zero_stage": 1, "checkpoint_every": 1, "keep_checkpoints": 2}
    return plain_spec(**values | changes)


def train(
    folder: Path, rank: int, death: tuple[int, float, int] | None, dropout: float, changes: dict[str, Any]
) -> None:
    """One process of a training; `death`: step, seconds after it, signal."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(changes.get("processes", 1))}
    torch.set_num_threads(1)
    import deepspeed
    import torch.distributed as dist
    from transformers import AutoModelForCausalLM, LlamaConfig

    from dolly.train.engine import Stopped, Trainer

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    processes = changes.get("processes", 1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=processes)
    deepspeed.init_distributed("gloo")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=99,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        attention_dropout=dropout,
    )
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))

    def report(step: int, steps: int, metrics: dict[str, float]) -> None:
        if death and step == death[0] and "train/loss" in metrics:
            threading.Timer(death[1], os.kill, (os.getpid(), death[2])).start()

    trainer = Trainer(
        AutoModelForCausalLM.from_config(config, dtype=getattr(torch, changes.get("dtype", "float32"))),
        spec(folder, **changes),
        train=[example(number) for number in range(ROWS)],
        evaluation=[example(ROWS + number) for number in range(4)],
        report=report,
        asked_to_stop=lambda: bool(told),
    )
    try:
        state = trainer.run()
    except Stopped:
        os._exit(75)
    weights = trainer.trained_weights()
    if rank == 0:
        save_file(weights, folder / "final.safetensors")
        (folder / "state.json").write_text(json.dumps(state))
    dist.barrier()
    os._exit(0)


def run(
    folder: Path, death: tuple[int, float, int] | None = None, dropout: float = 0.1, **changes: Any
) -> list[int | None]:
    """Exit codes of a training's processes; modules are imported once, in the server they are forked from."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(PRELOADED)
    folder.mkdir(exist_ok=True)
    (folder / "meet").unlink(missing_ok=True)
    ranks = range(changes.get("processes", 1))
    processes = [server.Process(target=train, args=(folder, rank, death, dropout, changes)) for rank in ranks]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def outcome(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    return load_file(folder / "final.safetensors"), json.loads((folder / "state.json").read_text())


def assert_equal(folder: Path, whole: Path) -> None:
    weights, state = outcome(folder)
    wanted, straight = outcome(whole)
    assert state["order"] == straight["order"]
    assert state["step_losses"] == straight["step_losses"]
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills") / "whole"
    assert run(folder) == [0]
    return folder


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_stopped_anywhere_ends_with_the_same_weights(
    whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    stop_and_resume(whole, tmp_path, number, points=POINTS)


def stop_and_resume(whole: Path, root: Path, number: signal.Signals, *, points: int) -> None:
    """Stops a training at so many random points, each a training of its own, and compares what it ends with."""
    draw = random.Random(17)
    codes = []
    for point in range(points):
        folder = root / str(point)
        death = (draw.randrange(STEPS - 1), draw.random() * 0.06, int(number))
        codes += run(folder, death)
        assert codes[-1] in (0, -9, 75)
        if codes[-1] != 0:
            assert run(folder) == [0]
        assert_equal(folder, whole)
    # Most points lie before the training's end.
    assert sum(code != 0 for code in codes) > points / 2


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_bf16_weights_go_on_from_their_fp32_ones(tmp_path: Path, stage: int) -> None:
    same = {"dtype": "bfloat16", "zero_stage": stage, "schedule": "constant", "warmup_share": 0.0}
    straight, parted = tmp_path / "straight", tmp_path / "parted"
    assert run(straight, **same) == [0]
    assert run(parted, max_steps=3, **same) == [0]
    assert run(parted, **same) == [0]
    assert_equal(parted, straight)


def test_one_then_two_then_one_rank_keep_order_and_losses(tmp_path: Path) -> None:
    same = {"schedule": "constant", "warmup_share": 0.0, "dropout": 0.0}
    straight, parted = tmp_path / "straight", tmp_path / "parted"
    assert run(straight, **same) == [0]
    assert run(parted, max_steps=2, **same) == [0]
    assert run(parted, processes=2, max_steps=4, zero_stage=2, **same) == [0, 0]
    assert run(parted, zero_stage=3, **same) == [0]
    weights, state = outcome(parted)
    wanted, one = outcome(straight)
    assert state["order"] == one["order"]
    assert state["resumed_at"] == 4
    assert state["step_losses"] == pytest.approx(one["step_losses"], abs=1e-4)
    for name, weight in wanted.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-4, rtol=0)


def test_the_best_checkpoint_is_kept_beside_the_newest(tmp_path: Path) -> None:
    # Nothing of the random rows helps with those held out: the more is learnt, the higher is their loss.
    rate = {"learning_rate": 3e-2, "schedule": "constant", "warmup_share": 0.0}
    assert run(tmp_path, **rate, evaluate_every=1, keep_checkpoints=1) == [0]
    best = outcome(tmp_path)[1]["best"]
    assert 0 < best["step"] < STEPS
    kept = sorted(int(folder.name[5:]) for folder in (tmp_path / "checkpoints").iterdir())
    assert kept == [best["step"], STEPS]


@pytest.mark.parametrize("harm", ["cut", "bit"])
def test_each_damaged_file_of_a_checkpoint_is_found(whole: Path, tmp_path: Path, harm: str) -> None:
    import shutil

    newest = newest_whole(whole / "checkpoints")
    assert newest is not None
    for file in sorted(newest.iterdir()):
        folder = tmp_path / f"{harm}-{file.name}"
        shutil.copytree(whole / "checkpoints", folder)
        damaged = folder / newest.name / file.name
        content = bytearray(file.read_bytes())
        if harm == "cut":
            content = content[: len(content) // 2]
        else:
            content[len(content) // 3] ^= 4
        damaged.write_bytes(content)
        found = newest_whole(folder)
        assert found is not None
        assert found.name < newest.name
