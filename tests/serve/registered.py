"""Registers tiny models without training them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from dolly.prompts import Prompt
from dolly.register.registry import CHAMPION, add_version, set_alias
from dolly.state import State
from dolly.tracking import connect

NAME = "tiny-model"


def write_model(folder: Path, base: Path, *, prompt: Prompt, seed: int) -> None:
    """Writes what a training would: weights that differ by the seed, tokenizer, chat template and card."""
    import torch

    from dolly.base_model import load_for_prompt

    model, tokenizer = load_for_prompt(str(base), dtype="float32", prompt=prompt)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    card = {"format": prompt.format, "system": prompt.system, "sha256": prompt.sha256}
    (folder / "dolly.json").write_text(json.dumps({"prompt": card, "dtype": "float32"}))


def register(home: Path, folder: Path) -> str:
    """Registers a version in a home; returns it."""
    import mlflow

    state = State.at(home)
    connect(state)
    found = mlflow.get_experiment_by_name("tests")
    experiment = found.experiment_id if found else mlflow.create_experiment("tests", state.artifacts)
    with mlflow.start_run(experiment_id=experiment):
        return add_version(NAME, folder, tags={})


def move_champion(home: Path, version: str) -> None:
    """Points the alias that is served at a version."""
    connect(State.at(home))
    set_alias(NAME, CHAMPION, version)


def serving_config(home: Path, file: Path, **serve: Any) -> Path:
    """Writes a config that serves the registered model of a home."""
    sources = [{"name": "facts", "path": "facts.csv", "format": "csv"}]
    config = {"name": "tiny", "home": str(home), "sources": sources, "register": {"name": NAME}, "serve": serve}
    file.write_text(yaml.safe_dump(config))
    return file
