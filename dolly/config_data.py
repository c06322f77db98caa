"""The sections of the config for the data stages: ingest, clean, prepare."""

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
    def _table_or_query(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("jdbc needs either table or query")
        return self


class Source(Section):
    """Where records or documents come from: files, a table, a database."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name used in every table")
    path: str = Field(
        "", description="file, folder (searched with its sub-folders) or hub name; relative to the project"
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
    def _location_fits_format(self) -> Self:
        if self.format == "jdbc" and self.jdbc is None:
            raise ValueError("format jdbc needs the section jdbc")
        if self.format != "jdbc" and self.jdbc is not None:
            raise ValueError(f"the section jdbc belongs to format jdbc, found format {self.format}")
        if self.format != "jdbc" and not self.path:
            raise ValueError(f"format {self.format} needs path")
        if self.format != "delta" and self.version is not None:
            raise ValueError(f"version belongs to format delta, found format {self.format}")
        return self

    @property
    def holds_documents(self) -> bool:
        """Does it hold documents, not records?"""
        return self.format == "documents"


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

    master: str | None = Field("local[2]", description="null: the session of spark-submit or of Databricks")
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
    max_lost_share: float = Field(
        0.2, ge=0, le=1, description="the run fails if max_tokens costs a larger share of the tokens"
    )
    eval_share: float = Field(0.05, ge=0, lt=1, description="share of each source's groups held out")
    mix: Mix = Mix()
