"""A training without a config and a launcher: its spec, and its process group of one."""

from __future__ import annotations

import os
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


def group_of_one(folder: str) -> None:
    """Makes this process the only one of a training; `folder` is where it meets itself."""
    import deepspeed
    import torch
    import torch.distributed as dist

    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, init_method=f"file://{folder}/meet", rank=0, world_size=1)
    deepspeed.init_distributed(backend)
