"""What a training process is told; a plain JSON file between the stage and the processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

# Where and how often something is written does not change the weights that come out.
_NOT_IDENTITY = {
    "tables_root",
    "gold_version",
    "base",
    "output",
    "tracking_uri",
    "run_id",
    "price_per_hour",
    "currency",
    "evaluate_every",
    "checkpoint_every",
    "keep_checkpoints",
}
# Raised when the trainer computes something else from the same inputs.
_TRAINER_REVISION = 1


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """One training. Batch sizes are in rows; `betas`, `clip_norm` as in AdamW and clip_grad_norm_."""

    tables_root: str
    dataset: str
    gold_version: int
    training_set: str
    base: str
    base_sha256: str
    prompt_format: Literal["chatml", "dolly"]
    system: str | None
    dtype: Literal["float32", "bfloat16"]
    method: Literal["lora", "full"]
    lora_rank: int
    lora_alpha: int
    lora_dropout: float
    learning_rate: float
    schedule: Literal["cosine", "linear", "constant"]
    warmup_share: float
    weight_decay: float
    betas: tuple[float, float]
    clip_norm: float
    epochs: float
    max_steps: int | None
    batch_size: int
    micro_batch_size: int
    processes: int
    zero_stage: int
    gradient_checkpointing: bool
    max_eval_rows: int | None
    seed: int
    output: str
    evaluate_every: int | None
    checkpoint_every: int
    keep_checkpoints: int
    tracking_uri: str
    run_id: str
    price_per_hour: float
    currency: str

    @property
    def sha256(self) -> str:
        """Identity of the weights that this training makes."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_IDENTITY}
        text = json.dumps([_TRAINER_REVISION, values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> TrainSpec:
        values = json.loads(path.read_text())
        return cls(**values | {"betas": tuple(values["betas"])})
