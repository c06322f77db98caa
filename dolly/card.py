"""The card beside a trained model's weights: what it was trained from, and the prompt that it was trained with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dolly.errors import ModelError
from dolly.prompts import Prompt

CARD = "dolly.json"


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
