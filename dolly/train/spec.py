"""The settings of one training: a plain JSON file, written by the stage and read by the training processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dolly import atomic

if TYPE_CHECKING:
    from dolly.config import Config

# Not hashed: they do not change the weights.
_NOT_HASHED = {
    "tables_root",
    "gold_version",
    "base",
    "output",
    "run_id",
    "price_per_hour",
    "currency",
    "evaluate_every",
    "checkpoint_every",
    "keep_checkpoints",
}
# Incremented when the trainer computes different weights from the same inputs.
_TRAINER_REVISION = 2


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
    method: Literal["lora", "qlora", "full"]
    lora_rank: int
    lora_alpha: int
    lora_dropout: float
    lora_targets: tuple[str, ...]
    learning_rate: float
    schedule: Literal["cosine", "linear", "constant"]
    warmup_share: float
    weight_decay: float
    betas: tuple[float, float]
    clip_norm: float
    epochs: float
    max_steps: int | None
    batch_size: int
    block_tokens: int
    processes: int
    zero_stage: int
    offload: bool
    gradient_checkpointing: bool
    compile: bool
    max_eval_rows: int | None
    seed: int
    output: str
    evaluate_every: int | None
    checkpoint_every: int
    keep_checkpoints: int
    run_id: str
    price_per_hour: float
    currency: str

    @property
    def stage(self) -> int:
        """The ZeRO stage that is used.

        One process has nothing to partition: ZeRO would only keep flat copies of fp32 weights. With bf16 weights ZeRO
        keeps the fp32 ones that the optimizer steps, so that the stage is at least 1.
        """
        if self.dtype == "bfloat16":
            return max(1, self.zero_stage)
        return 0 if self.processes == 1 and not self.offload else self.zero_stage

    @property
    def shaping(self) -> dict[str, Any]:
        """The settings that `model.build` and `model.shape` take."""
        names = ("method", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "gradient_checkpointing")
        return {name: getattr(self, name) for name in names}

    @property
    def sha256(self) -> str:
        """Hash of everything that determines the weights; adding a hashed field retrains every model."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_HASHED}
        text = json.dumps([_TRAINER_REVISION, values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def of(cls, config: Config, *, base: str, gold_version: int, training_set: str, **addresses: str) -> TrainSpec:
        """The config's training as plain values.

        Args:
            config: the experiment.
            base: the located base model.
            gold_version: version of `gold_examples`.
            training_set: hash of its rows.
            addresses: `tables_root`, `base_sha256`, `run_id`, `output`; a plan needs none of them.
        """
        train = config.train
        values: dict[str, Any] = dict.fromkeys(("tables_root", "base_sha256", "run_id", "output"), "")
        values |= {"base": base, "gold_version": gold_version, "training_set": training_set} | addresses
        return cls(
            **values,
            dataset=config.name,
            prompt_format=config.model.prompt_format,
            system=config.model.system,
            dtype=config.model.dtype,
            lora_rank=train.lora.rank,
            lora_alpha=train.lora.alpha,
            lora_dropout=train.lora.dropout,
            lora_targets=train.lora.targets,
            seed=config.seed,
            price_per_hour=config.cost.price_per_hour,
            currency=config.cost.currency,
            **train.model_dump(exclude={"lora", "launch"}),
        )

    def write(self, path: Path) -> None:
        atomic.write_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> TrainSpec:
        """Reads a spec.

        Raises:
            TypeError: it was written by a version of the code with other fields.
        """
        values = json.loads(path.read_text())
        return cls(**values | {name: tuple(values[name] or ()) for name in ("betas", "lora_targets")})
