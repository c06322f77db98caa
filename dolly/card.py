"""The files of a trained model, and the card beside its weights: what it was trained from, with which prompt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dolly.errors import ModelError
from dolly.prompts import Prompt

CARD = "dolly.json"


@dataclass(frozen=True)
class ModelFiles:
    """A registered version, or weights that will be one, and the files on this machine.

    Args:
        name: of the registered model.
        version: its version; empty before it has one.
        tags: of the version, see `version_tags`.
        folder: weights, config and card.
        tokenizer: folder of the tokenizer.
    """

    name: str
    version: str
    tags: dict[str, str]
    folder: Path
    tokenizer: Path

    @property
    def label(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} version {self.version}" if self.version else f"the weights for {self.name}"


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a trained model."""
    card: dict[str, Any] = json.loads((folder / CARD).read_text())
    return card


def trained_prompt(folder: Path) -> Prompt:
    """The prompt that a model was trained with.

    Raises:
        ModelError: this version of the code renders it differently.
    """
    stored = read_card(folder)["prompt"]
    prompt = Prompt(stored["format"], stored["system"])
    if prompt.sha256 != stored["sha256"]:
        raise ModelError(
            found=f"{folder} was trained with the prompt template {stored['sha256'][:12]}",
            expected=f"{prompt.sha256[:12]}, which this version of dolly renders",
            fix="serve it with the version of dolly that trained it, or train it again",
        )
    return prompt
