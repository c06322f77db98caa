"""A training's spec without a config: for benches that train random weights on made-up rows."""

from __future__ import annotations

from typing import Any

from dolly.train.spec import TrainSpec


def plain_spec(**changes: Any) -> TrainSpec:
    """One process, constant rate, no checkpoints before the end; `changes` win."""
    values: dict[str, Any] = dict.fromkeys(TrainSpec.__dataclass_fields__)
    values |= {"dataset": "bench", "method": "full", "dtype": "float32", "processes": 1, "zero_stage": 0, "seed": 17}
    values |= {"learning_rate": 2e-4, "schedule": "constant", "warmup_share": 0.0, "weight_decay": 0.0}
    values |= {"betas": (0.9, 0.999), "clip_norm": 1.0, "epochs": 99.0, "block_tokens": 1024, "price_per_hour": 0.0}
    values |= {"offload": False, "gradient_checkpointing": False, "compile": False}
    return TrainSpec(**values | {"checkpoint_every": 10**9, "keep_checkpoints": 1} | changes)
