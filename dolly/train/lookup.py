"""The training that a config names: its spec, its folder and, once it is finished, its results.

A training is identified by the hash of everything that determines its weights: base, prompt, training set and
settings. It does not matter what ran last. Paths always come from the config, so that a moved folder is found.
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
    """A finished training: its spec, its measurements (`result`) and the card of its weights."""

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
        DataError: there are no rows, or they were encoded with another prompt or tokenizer.
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
        DataError: its gold rows are missing, or encoded with another prompt or tokenizer.
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
        DataError: it has not been trained; the message names the command that trains it.
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
    """Reads a training's results from its folder; None if it is not finished."""
    folder = Path(spec.output)
    try:
        result = json.loads((folder / "result.json").read_text())
        card = json.loads((folder / "final" / "dolly.json").read_text())
    except FileNotFoundError:
        return None
    return Training(spec, result, card) if card["training"] == spec.sha256 else None


def checksums_file(state: State) -> Path:
    """The file that caches hashes of large files."""
    return state.checkpoints / "checksums.json"


def _instead(spec: TrainSpec, checkpoints: Path) -> str:
    """Describes what exists instead of a missing training."""
    if (Path(spec.output) / "spec.json").exists():
        return f"an unfinished training in {spec.output}"
    others = [other for folder in checkpoints.glob(f"{spec.dataset}-*") if (other := _read_spec(folder))]
    for other in others:
        if replace(other, training_set=spec.training_set).sha256 == spec.sha256:
            return (
                f"a training with these settings on other rows (training set {other.training_set[:12]}, gold is now "
                f"{spec.training_set[:12]})"
            )
    count = "one training" if len(others) == 1 else f"{len(others)} trainings"
    return f"{count} of {spec.dataset} in {checkpoints}, none with these settings"


def _read_spec(folder: Path) -> TrainSpec | None:
    """Reads the spec of another training; None if it was written by another version of the code or is damaged."""
    try:
        return TrainSpec.read(folder / "spec.json")
    except (OSError, ValueError, KeyError, TypeError):
        return None
