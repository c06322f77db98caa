"""One typed, strict section per stage. Loading (YAML, overrides, faults) is in `config_file`.

The config stops at the stages: functions below them take plain keyword-only values.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator


class Section(BaseModel):
    """A group of keys; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Columns(Section):
    """Which field of a source's record holds what; `null` where the source has none."""

    instruction: str = Field("instruction", description="the question or task")
    output: str = Field("output", description="the answer")
    input: str | None = Field("input", description="context for the instruction; may be absent")
    turns: str | None = Field(
        None, description="a conversation, instead of instruction and output: a list of from/value or role/content"
    )
    instances: str | None = Field(None, description="a list of objects; each becomes a record with the outer fields")
    group: str | None = Field(None, description="rows that ask for the same thing share its value")
    variant: str | None = Field(None, description="which wording of the group a row is")
    expected: str | None = Field(None, description="text that a right answer contains")
    category: str | None = Field(None, description="topic, for reports")

    def required(self) -> list[str]:
        """Fields that each record must have: the two texts and all that were set by hand."""
        texts = {"turns"} if self.turns is not None else {"instruction", "output"}
        chosen = texts | (self.model_fields_set - {"instances"})
        return [name for key in sorted(chosen) if (name := getattr(self, key)) is not None]


class Jdbc(Section):
    """A table of a database, read by Spark."""

    url: str = Field(pattern=r"^jdbc:", description="e.g. jdbc:postgresql://127.0.0.1:5432/faq; no password in it")
    table: str | None = Field(None, description="table, or a query in `query`")
    query: str | None = None
    user: str | None = None
    password_env: str | None = Field(None, description="environment variable that holds the password")
    driver: str = "org.postgresql.Driver"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("jdbc needs either table or query")
        return self


class Source(Section):
    """Where records or documents come from: files, a table, a database."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name used in every table")
    path: str = Field(
        "", description="file, folder (searched with its sub-folders) or hub name; relative to the working directory"
    )
    format: Literal[
        "json", "jsonl", "csv", "tsv", "xlsx", "parquet", "datasets", "hub", "delta", "jdbc", "documents"
    ] = Field(
        description="json is one array of objects; datasets a saved folder of that library; hub needs the network"
    )
    visibility: Literal["private", "public"] = "private"
    columns: Columns = Columns()
    version: int | None = Field(None, ge=0, description="version of a delta table; null: the newest")
    split: str = Field("train", description="of a datasets folder or hub name")
    jdbc: Jdbc | None = None
    max_groups: int | None = Field(None, ge=1, description="use only the first N groups, in file order")
    eval_variants: tuple[str, ...] | Literal["one_per_group"] = Field(
        (),
        description="wordings that are held out, or one_per_group for one of each group, chosen by hash; "
        "empty: whole groups are held out by hash",
    )

    @model_validator(mode="after")
    def _variants_need_a_column(self) -> Self:
        if self.eval_variants and self.columns.variant is None:
            raise ValueError("eval_variants needs columns.variant, which is null")
        return self

    @model_validator(mode="after")
    def _place_fits_format(self) -> Self:
        if self.format == "jdbc" and self.jdbc is None:
            raise ValueError("format jdbc needs the section jdbc")
        if self.format != "jdbc" and self.jdbc is not None:
            raise ValueError(f"the section jdbc belongs to format jdbc, found format {self.format}")
        if self.format != "jdbc" and not self.path:
            raise ValueError(f"format {self.format} needs path")
        if self.format != "delta" and self.version is not None:
            raise ValueError(f"version belongs to format delta, found format {self.format}")
        return self


class Ingest(Section):
    """Limits of one file; what exceeds them is rejected with that reason."""

    max_file_megabytes: int = Field(512, ge=1)
    max_record_characters: int = Field(5_000_000, ge=1, description="of one record as it came")
    max_pages: int = Field(2_000, ge=1, description="of one document")
    max_seconds: float = Field(60, gt=0, description="to parse one document")
    max_memory_megabytes: int = Field(1024, ge=64, description="that a parser may take for one document")
    max_document_characters: int = Field(5_000_000, ge=1)


class Spark(Section):
    """The Spark session of the data stages."""

    master: str = "local[2]"
    driver_memory: str = "2g"
    shuffle_partitions: int = Field(2, ge=1)
    conf: dict[str, str] = Field(default_factory=dict, description="further Spark properties")


Severity = Literal["off", "fix", "reject", "flag"]
PersonalData = Literal["EMAIL", "PHONE", "IBAN", "CARD", "NATIONAL_ID", "IP", "SECRET", "PERSON"]


class Privacy(Section):
    """Personal data and secrets: found, then replaced by pseudonyms, or the row is rejected."""

    action: Literal["pseudonymise", "reject", "off"] = "pseudonymise"
    kinds: tuple[PersonalData, ...] = get_args(PersonalData)
    regions: tuple[str, ...] = Field(
        ("US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH", "SE", "IN"),
        description="countries whose national phone numbers are known",
    )
    names_file: str | None = Field(None, description="UTF-8 text, one full name a line")
    key_file: str | None = Field(None, description="key of the pseudonyms; null: privacy.key in the home folder")


class Duplicates(Section):
    """Rows that say the same thing."""

    near: bool = Field(True, description="also rows that nearly do, by MinHash; exact ones are always merged")
    threshold: float = Field(
        0.7, gt=0, le=1, description="Jaccard similarity of word trigrams from which rows are near"
    )


class Benchmark(Section):
    """Questions that no training row may hold."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    path: str
    format: Literal["json", "jsonl", "csv"] = "jsonl"
    fields: tuple[str, ...] = Field(("instruction",), min_length=1, description="dotted; lists are walked through")


class Clean(Section):
    """bronze → silver."""

    min_answer_characters: int = Field(1, ge=1)
    max_characters: int = Field(50_000, ge=1, description="longer rows are rejected")
    languages: tuple[str, ...] = Field((), description="ISO 639-1 codes of the languages to keep; empty: all")
    rules: dict[str, Severity] = Field(default_factory=dict, description="another severity for a rule, by name")
    privacy: Privacy = Privacy()
    duplicates: Duplicates = Duplicates()
    benchmarks: tuple[Benchmark, ...] = ()
    benchmark_ngram: int = Field(13, ge=4, description="words; a shorter question must occur whole")


class Mix(Section):
    """How many training rows each source gives."""

    weights: dict[str, PositiveFloat] = Field(default_factory=dict, description="source → times its rows; 1 for others")
    private_share: float | None = Field(None, gt=0, lt=1, description="of all training rows; null: as it comes")
    by: Literal["sample", "repeat"] = Field("sample", description="reach the share by fewer rows, or by more")


class Prepare(Section):
    """silver → gold."""

    max_tokens: int = Field(512, ge=8, description="tokens an example may have, prompt included")
    over_length: Literal["truncate", "split", "reject"] = Field(
        "truncate", description="split: long conversations become several, at turn borders"
    )
    eval_share: float = Field(0.05, ge=0, lt=1, description="share of each source's groups held out")
    mix: Mix = Mix()


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
