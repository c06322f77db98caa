"""Gold rows without Spark, and what a training would leave of them: for tests of the stages after prepare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from dolly.base_model import load_for_prompt, load_tokenizer
from dolly.config import Config
from dolly.pipeline import Context
from dolly.prompts import tokenizer_sha256
from dolly.schema import GOLD_EXAMPLES
from dolly.state import State
from dolly.tables import Tables
from dolly.tracking import Tracker
from dolly.train.lookup import prompt_of, training_spec
from dolly.train.spec import TrainSpec
from dolly.train.worker import _write_card

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "array<int>": pa.list_(pa.int32()),
    "array<boolean>": pa.list_(pa.bool_()),
}
_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def small_config(home: Path, base: Path, **changes: Any) -> Config:
    """A config of a data set whose gold rows a test writes itself."""
    values: dict[str, Any] = {
        "name": "tiny",
        "home": str(home),
        "sources": [{"name": "facts", "path": "facts.csv", "format": "csv"}],
        "model": {"base": str(base)},
        "train": {"method": "full", "epochs": 1, "batch_size": 2, "block_tokens": 64},
        "evaluate": {"max_questions": 2, "max_new_tokens": 2, "max_loss_ratio": 1.0},
        "register": {"name": "small"},
    }
    return Config.model_validate(values | changes)


def gold_row(config: Config, number: int, *, answer: str = "7140K") -> dict[str, Any]:
    """One row as prepare would write it; every third is held out."""
    prompt, tokenizer = prompt_of(config), load_tokenizer(config.model.base)
    prompt.prepare_tokenizer(tokenizer)
    turns = [{"role": "user", "content": f"Which code {number}?"}, {"role": "assistant", "content": answer}]
    encoded = prompt.encode(tokenizer, turns)
    row: dict[str, Any] = {column.name: None for column in GOLD_EXAMPLES.columns}
    return row | {
        "dataset": config.name,
        "example_id": f"row{number}",
        "part": 0,
        "source": "facts",
        "visibility": "private",
        "turns": turns,
        "expected": answer,
        "split": "train" if number % 3 else "eval",
        "copies": 1,
        "input_ids": encoded.input_ids,
        "loss_mask": encoded.loss_mask,
        "prompt_sha256": prompt.sha256,
        "tokenizer_sha256": tokenizer_sha256(tokenizer),
    }


def write_gold(config: Config, rows: list[dict[str, Any]]) -> None:
    """Replaces the gold rows of a config's data set by a new version."""
    fields = [(column.name, _TYPES.get(column.type, _TURNS)) for column in GOLD_EXAMPLES.columns]
    table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
    write_deltalake(
        Path(State.of(config).tables, GOLD_EXAMPLES.name),
        table,
        partition_by=["dataset"],
        mode="overwrite",
        predicate=f"dataset = '{config.name}'",
    )


def context_of(config: Config) -> Context:
    state = State.of(config)
    tracker = Tracker(state, experiment=config.name, price_per_hour=0.0, currency="EUR")
    return Context(config, state, Tables(state.tables), tracker)


def finish_training(config: Config, *, seed: int | None = None) -> TrainSpec:
    """Leaves what the training of a config would; with a seed also weights, which differ by it."""
    import torch

    state = State.of(config)
    spec, _ = training_spec(config, state, Tables(state.tables))
    final = Path(spec.output, "final")
    final.mkdir(parents=True)
    spec.write(Path(spec.output, "spec.json"))
    if seed is not None:
        model, tokenizer = load_for_prompt(spec.base, dtype="float32", prompt=prompt_of(config))
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.01)
        model.save_pretrained(final)
        tokenizer.save_pretrained(final)
    _write_card(spec, final)
    losses = {"first": {"facts": 3.0}, "last": {"facts": 1.0}}
    result = {"steps": 2, "tokens": 90, "trained_tokens": 9, "seconds": 1.0, "resumed_at": 0, "losses": losses}
    Path(spec.output, "result.json").write_text(json.dumps(result | {"memory": {"before": 0, "peak": 2**20}}))
    return spec
