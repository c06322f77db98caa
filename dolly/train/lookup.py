"""The training that a config names: its spec, its folder and, once it is finished, its results.

A training is found by the hash of all that makes its weights: base, prompt, training set and settings. What ran last
plays no part, and paths are always the config's: a folder that was moved is found where it is now.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dolly.base_model import load_tokenizer, locate, weights_sha256
from dolly.config import Config
from dolly.errors import DataError
from dolly.prompts import Prompt, tokenizer_sha256
from dolly.schema import GOLD_EXAMPLES
from dolly.state import State
from dolly.tables import Tables
from dolly.train.spec import TrainSpec
from dolly.training_set import TrainingSet, read_training_set, require_encoding

SAME_OVERRIDES = "with the same key=value overrides"


@dataclass(frozen=True)
class Training:
    """A finished training: what was asked for, what it measured (`result`), the card of its weights."""

    spec: TrainSpec
    result: dict[str, Any]
    card: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.spec.output)

    @property
    def weights(self) -> Path:
        """Folder of the trained model, with its tokenizer."""
        return self.folder / "final"


def prompt_of(config: Config) -> Prompt:
    """The prompt that a config asks for."""
    return Prompt(config.model.prompt_format, config.model.system)


def gold_rows(config: Config, tables: Tables, *, base: str) -> TrainingSet:
    """The newest gold rows of a config's data set.

    Args:
        config: names data set and prompt.
        tables: where they are.
        base: the located base model.

    Raises:
        DataError: there are none, or they were encoded with another prompt or tokenizer.
    """
    version = tables.version(GOLD_EXAMPLES)
    prompt, tokenizer = prompt_of(config), load_tokenizer(base)
    prompt.prepare_tokenizer(tokenizer)
    require_encoding(
        tables,
        dataset=config.name,
        version=version,
        prompt_sha256=prompt.sha256,
        tokenizer_sha256=tokenizer_sha256(tokenizer),
    )
    return read_training_set(tables, dataset=config.name, version=version)


def training_spec(config: Config, state: State, tables: Tables, *, run_id: str = "") -> tuple[TrainSpec, TrainingSet]:
    """The training that a config names, and its rows.

    Raises:
        DataError: its gold rows are not there, or not encoded for it.
    """
    base = locate(config.model.base, allow_network=config.allow_network)
    rows = gold_rows(config, tables, base=base)
    spec = TrainSpec.of(
        config,
        base=base,
        base_sha256=weights_sha256(base, cache=checksums_file(state)),
        gold_version=rows.version,
        training_set=rows.sha256,
        tables_root=tables.address_without_spark(GOLD_EXAMPLES),
        run_id=run_id,
    )
    return replace(spec, output=str(state.checkpoints / f"{config.name}-{spec.sha256[:12]}")), rows


def finished_training(config: Config, state: State, tables: Tables) -> Training:
    """The finished training that a config names.

    Raises:
        DataError: it has not been trained; the message names the command that does.
    """
    spec, _ = training_spec(config, state, tables)
    training = read_training(spec)
    if training is None:
        raise DataError(
            found=_instead(spec, state.checkpoints),
            expected=f"the finished training {spec.sha256[:12]}, which this config names",
            fix=f"run dolly train CONFIG {SAME_OVERRIDES}",
        )
    return training


def read_training(spec: TrainSpec) -> Training | None:
    """What a training left in its folder; None if it is not finished."""
    folder = Path(spec.output)
    try:
        result = json.loads((folder / "result.json").read_text())
        card = json.loads((folder / "final" / "dolly.json").read_text())
    except FileNotFoundError:
        return None
    return Training(spec, result, card) if card["training"] == spec.sha256 else None


def checksums_file(state: State) -> Path:
    """Where hashes of large files are remembered."""
    return state.checkpoints / "checksums.json"


def _instead(spec: TrainSpec, checkpoints: Path) -> str:
    """What is there instead of a training that is not."""
    if (Path(spec.output) / "spec.json").exists():
        return f"an unfinished training in {spec.output}"
    others = [other for folder in checkpoints.glob(f"{spec.dataset}-*") if (other := _read_spec(folder))]
    for other in others:
        if replace(other, training_set=spec.training_set).sha256 == spec.sha256:
            return (
                f"a training with these settings on other rows (training set {other.training_set[:12]}, gold is now "
                f"{spec.training_set[:12]})"
            )
    return f"{len(others)} trainings of {spec.dataset} in {checkpoints}, none with these settings"


def _read_spec(folder: Path) -> TrainSpec | None:
    """The spec of another training; None if it is of another version of the code, or damaged."""
    try:
        return TrainSpec.read(folder / "spec.json")
    except (OSError, ValueError, KeyError, TypeError):
        return None
