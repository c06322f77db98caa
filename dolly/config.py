"""One typed, strict section per stage. Loading (YAML, overrides, faults) is in `config_file`.

The config stops at the stages: functions below them take plain keyword-only values.
"""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator, model_validator

from dolly.config_data import Clean, Ingest, PersonalData, Prepare, Section, Source, Spark
from dolly.config_router import Router


class Model(Section):
    """The base model and the prompt it is trained with."""

    base: str = Field("smollm2-135m-instruct", description="installed model, folder, GGUF file or hub name")
    prompt_format: Literal["chatml", "dolly"] = "chatml"
    system: str | None = Field(None, description="system turn put before each conversation without one")
    dtype: Literal["float32", "bfloat16"] = "float32"


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021)."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = Field((), description="names of linear layers, e.g. q_proj; none: all of them")


class Launch(Section):
    """Where the training processes run."""

    by: Literal["torchrun", "spark", "hostfile"] = Field(
        "torchrun", description="this machine; the nodes of spark.master; the machines of a DeepSpeed hostfile"
    )
    hostfile: str | None = Field(None, description="lines of NAME slots=N; ssh must reach them without a password")
    arguments: tuple[str, ...] = Field((), description="further arguments of DeepSpeed's launcher, e.g. --master_addr")
    gpus: bool = Field(False, description="spark: each task has a GPU of its own (spark.task.resource.gpu.amount)")

    @model_validator(mode="after")
    def _hostfile_matches_launcher(self) -> Self:
        if (self.by == "hostfile") != (self.hostfile is not None):
            raise ValueError(f"by: {self.by} with hostfile {self.hostfile}: they belong together")
        return self


class Train(Section):
    """gold → weights."""

    method: Literal["lora", "qlora", "full"] = Field("lora", description="qlora: the base in 4 bits; needs a GPU")
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
    block_tokens: int = Field(
        1024, ge=8, description="tokens per forward pass of one process: rows are packed; a longer one has its own"
    )
    processes: int = Field(1, ge=1)
    zero_stage: Literal[0, 1, 2, 3] = 1
    launch: Launch = Launch()
    offload: bool = Field(False, description="optimizer states in the machine's memory instead of the GPU's; ZeRO 1-3")
    gradient_checkpointing: bool = Field(False, description="keep a layer's input only, compute it twice")
    compile: bool = Field(False, description="torch.compile for each layer; a GPU gains, a CPU needs a compiler")
    evaluate_every: int | None = Field(None, ge=1, description="steps; null: only first and last")
    max_eval_rows: int | None = Field(None, ge=1, description="held-out rows per source for the loss")
    checkpoint_every: int = Field(50, ge=1, description="steps")
    keep_checkpoints: int = Field(2, ge=1, description="the newest; beside them that of the lowest held-out loss")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.offload and self.zero_stage == 0:
            raise ValueError("offload: true needs zero_stage 1, 2 or 3")
        if self.method == "qlora" and self.zero_stage == 3:
            raise ValueError("method: qlora needs zero_stage 0, 1 or 2: 4-bit weights can't be partitioned")
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


class ServeFilter(Section):
    """A filter of questions and answers: one of words, pattern and personal_data."""

    name: str = Field(min_length=1, description="in messages, and in place of masked text")
    words: tuple[str, ...] = Field((), description="whole words or phrases, in any case")
    words_file: str | None = Field(None, description="UTF-8 text, one word or phrase a line")
    pattern: str | None = Field(None, description="regular expression of Python")
    personal_data: tuple[PersonalData, ...] = Field((), description="kinds, found as clean finds them")
    of: Literal["both", "input", "output"] = Field("both", description="questions (input), answers (output) or both")
    action: Literal["refuse", "mask"] = Field("refuse", description="an answer that is refused ends before the match")

    @model_validator(mode="after")
    def _one_way_to_match(self) -> Self:
        ways = [bool(self.words or self.words_file), self.pattern is not None, bool(self.personal_data)]
        if sum(ways) != 1:
            raise ValueError("found none or several of words, pattern and personal_data; expected one of them")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"pattern: no regular expression ({error})") from error
        return self


class Serve(Section):
    """The champion behind an OpenAI-compatible API."""

    host: str = "127.0.0.1"
    port: int = Field(8808, ge=0, le=65535, description="0: any free port")
    max_new_tokens: int = Field(256, ge=1, description="upper limit a request may ask for")
    engine: Literal["auto", "openvino", "transformers"] = Field(
        "auto", description="auto: OpenVINO; transformers on a GPU, and for models that OpenVINO can't serve"
    )
    precision: Literal["fp32", "int8"] = Field("fp32", description="of OpenVINO's weights; int8 can change answers")
    cache_gib: float = Field(2.0, gt=0, description="size of OpenVINO's cache of keys and values, in GiB")
    running: int = Field(32, ge=1, description="maximum number of answers that are generated at once")
    waiting: int = Field(64, ge=0, description="maximum number of requests that wait; others get 429")
    wait_seconds: float = Field(30.0, gt=0, description="the longest wait; then 503")
    answer_seconds: float = Field(300.0, gt=0, description="the longest time for an answer; then 503")
    body_bytes: int = Field(1 << 20, ge=1024, description="maximum size of a request; larger ones get 413")
    end_seconds: int = Field(10, ge=1, description="time that running answers get when the server is asked to end")
    models: list[str] = Field(
        default_factory=list, description="NAME@ALIAS of more registered models that are served too"
    )
    refresh_seconds: float = Field(10.0, gt=0, description="between two looks whether an alias has moved")
    filters: tuple[ServeFilter, ...] = Field((), description="of questions and answers")
    audit: Literal["off", "hash", "text"] = Field(
        "hash", description="log of requests: texts as SHA-256, or as they are"
    )
    feedback: bool = Field(True, description="are ratings and corrected answers of the chat page stored?")
    requests_per_minute: int = Field(0, ge=0, description="of one key or address; others get 429; 0: no limit")
    tls_certificate: str | None = Field(None, description="PEM file with the certificate chain")
    tls_key: str | None = Field(None, description="PEM file with its private key")
    behind_proxy: bool = Field(False, description="a proxy in front has TLS: host may be another than loopback without")
    router: Router = Router()

    @model_validator(mode="after")
    def _certificate_with_its_key(self) -> Self:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("found one of tls_certificate and tls_key; expected both or none")
        return self


# Schemes of the object stores, and of MLflow's artifact stores.
_TABLES = ("s3a", "s3", "abfss", "gs")
_ARTIFACTS = ("s3", "gs", "abfss", "wasbs", "hdfs", "dbfs", "file", "mlflow-artifacts", "http", "https")


class State(Section):
    """Where state is kept; null: under `home`. Credentials come from the environment, never from a config."""

    tables: str | None = Field(
        None, description="folder, object store (s3a://, abfss://, gs://) or catalog.schema of a metastore"
    )
    tracking: str | None = Field(
        None,
        description="SQLite file, http(s):// of an MLflow server, postgresql://; null: MLFLOW_TRACKING_URI, if set",
    )
    registry: str | None = Field(None, description="as tracking, which is the default")
    artifacts: str | None = Field(None, description="folder or object store; of a server that null leaves to it")
    checkpoints: str | None = Field(None, description="folder that all training machines share")

    @field_validator("tables", "artifacts", "checkpoints")
    @classmethod
    def _known_scheme(cls, address: str | None, info: ValidationInfo) -> str | None:
        scheme, separator, _ = (address or "").partition("://")
        known = {"tables": _TABLES, "artifacts": _ARTIFACTS}.get(info.field_name or "", ())
        if separator and scheme not in known:
            schemes = f"or one of {', '.join(f'{name}://' for name in known)}" if known else "that all machines see"
            raise ValueError(f"found {scheme}://; expected a folder {schemes}")
        return address


class Cost(Section):
    """What an hour of the machine costs; for the estimate in each run."""

    price_per_hour: float = Field(0.0, ge=0)
    currency: str = "USD"


class Config(Section):
    """One experiment."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="data set and experiment name")
    home: str = Field(".dolly", description="folder for everything that runs write; relative to the project")
    state: State = State()
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
