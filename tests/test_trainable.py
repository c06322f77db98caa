"""Base models that can't be trained are refused by their config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolly.errors import ModelError
from dolly.trainable import require_trainable


def folder(tmp_path: Path, **config: Any) -> str:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return str(tmp_path)


@pytest.mark.parametrize("family", ["llama", "gptj", "qwen2"])
def test_a_family_of_the_attention_interface_passes(tmp_path: Path, family: str) -> None:
    require_trainable(folder(tmp_path, model_type=family))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "falcon"}, "of type falcon, whose attention can't be replaced"),
        ({"model_type": "mamba"}, "of type mamba, whose attention can't be replaced"),
        (
            {"model_type": "lfm2", "layer_types": ["conv", "full_attention"], "num_hidden_layers": 2},
            "of type lfm2, whose",
        ),
        ({"model_type": "recurrent_gemma"}, "of type recurrent_gemma, whose layers have a state"),
        ({"model_type": "t5"}, "no causal LM that transformers knows"),
        ({"model_type": "nothing"}, "no causal LM that transformers knows"),
        ({}, "no causal LM that transformers knows"),
    ],
)
def test_another_is_refused(tmp_path: Path, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        require_trainable(folder(tmp_path, **config))


def test_what_has_no_config_is_left_to_the_training() -> None:
    require_trainable("EleutherAI/gpt-j-6b")
