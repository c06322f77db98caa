"""What a training process is told; a plain JSON file between the stage and the processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from dolly.config import Config

# Where and how often something is written does not change the weights that come out.
_NOT_IDENTITY = {
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
# Raised when the trainer computes something else from the same inputs.
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
        """The ZeRO stage at work.

        One process has nothing to part: of fp32 weights ZeRO would keep flat copies. With bf16 ones it is ZeRO that
        keeps those in fp32 which are stepped, so that it is at least 1.
        """
        if self.dtype == "bfloat16":
            return max(1, self.zero_stage)
        return 0 if self.processes == 1 and not self.offload else self.zero_stage

    @property
    def shaping(self) -> dict[str, Any]:
        """What `model.build` and `model.shape` make of a base model."""
        names = ("method", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets", "gradient_checkpointing")
        return {name: getattr(self, name) for name in names}

    @property
    def sha256(self) -> str:
        """Identity of the weights that this training makes."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_IDENTITY}
        text = json.dumps([_TRAINER_REVISION, values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def of(cls, config: Config, *, base: str, gold_version: int, training_set: str, **places: str) -> TrainSpec:
        """The config's training as plain values; `places` are those that a plan has none of."""
        train = config.train
        values: dict[str, Any] = dict.fromkeys(("tables_root", "base_sha256", "run_id", "output"), "")
        values |= {"base": base, "gold_version": gold_version, "training_set": training_set} | places
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
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> TrainSpec:
        values = json.loads(path.read_text())
        return cls(**values | {name: tuple(values[name] or ()) for name in ("betas", "lora_targets")})
