"""One typed, strict section per stage. Loading (YAML, overrides, faults) is in `config_file`.

The config stops at the stages: functions below them take plain keyword-only values.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from dolly.config_data import Clean, Ingest, Prepare, Section, Source, Spark


class Model(Section):
    """The base model and the prompt it is trained with."""

    base: str = Field("smollm2-135m-instruct", description="installed model, folder, GGUF file or hub name")
    prompt_format: Literal["chatml", "dolly"] = "chatml"
    system: str | None = Field(None, description="system turn put before each conversation without one")
    dtype: Literal["float32", "bfloat16"] = "float32"


class Lora(Section):
    """Low-rank adapters on the linear layers."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)


class Train(Section):
    """gold → weights."""

    method: Literal["lora", "full"] = "lora"
    lora: Lora = Lora()
    learning_rate: float = Field(2e-4, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = Field(0.03, ge=0, lt=1, description="share of the steps")
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = Field(1.0, gt=0)
    epochs: float = Field(1, gt=0)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(16, ge=1, description="rows per optimiser step, over all processes")
    micro_batch_size: int = Field(4, ge=1, description="rows per forward pass of one process")
    processes: int = Field(1, ge=1)
    zero_stage: Literal[0, 1, 2, 3] = 1
    gradient_checkpointing: bool = False
    evaluate_every: int | None = Field(None, ge=1, description="steps; null: only first and last")
    max_eval_rows: int | None = Field(None, ge=1, description="held-out rows per source for the loss")
    checkpoint_every: int = Field(50, ge=1, description="steps")
    keep_checkpoints: int = Field(2, ge=1)

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch_size % self.processes:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of processes {self.processes}")
        return self


class Evaluate(Section):
    """weights → metrics, and the gate that a champion must pass."""

    max_questions: int = Field(100, ge=1)
    max_new_tokens: int = Field(48, ge=1)
    batch_size: int = Field(16, ge=1)
    min_fact_accuracy: float | None = Field(None, ge=0, le=1, description="gate; null: not asked")
    max_loss_ratio: PositiveFloat | dict[str, PositiveFloat] = Field(
        1.0, description="gate: held-out loss after / before must be below this; also by source, 1 for others"
    )


class Register(Section):
    """Gated weights → MLflow registry."""

    name: str = Field("dolly", pattern=r"^[A-Za-z0-9_.-]+$")


class Serve(Section):
    """The champion behind an OpenAI-compatible API."""

    host: str = "127.0.0.1"
    port: int = Field(8808, ge=0, le=65535, description="0: any free port")
    max_new_tokens: int = Field(256, ge=1, description="upper limit a request may ask for")


class Cost(Section):
    """What an hour of the machine costs; for the estimate in each run."""

    price_per_hour: float = Field(0.0, ge=0)
    currency: str = "USD"


class Config(Section):
    """One experiment."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="data set and experiment name")
    home: str = Field(".dolly", description="folder that holds all that runs write")
    seed: int = 17
    allow_network: bool = Field(False, description="may models be fetched from a hub?")
    sources: tuple[Source, ...] = Field(min_length=1)
    spark: Spark = Spark()
    ingest: Ingest = Ingest()
    clean: Clean = Clean()
    prepare: Prepare = Prepare()
    model: Model = Model()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    register_: Register = Field(Register(), alias="register")
    serve: Serve = Serve()
    cost: Cost = Cost()

    @model_validator(mode="after")
    def _source_names_agree(self) -> Self:
        names = [source.name for source in self.sources]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sources share the name {', '.join(doubled)}")
        if unknown := sorted(set(self.prepare.mix.weights) - set(names)):
            raise ValueError(f"prepare.mix.weights names {', '.join(unknown)}, but sources are {', '.join(names)}")
        ratios = self.evaluate.max_loss_ratio
        if isinstance(ratios, dict) and (unknown := sorted(set(ratios) - set(names))):
            raise ValueError(f"evaluate.max_loss_ratio names {', '.join(unknown)}, but sources are {', '.join(names)}")
        return self
