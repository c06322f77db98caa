"""Base models: found by folder, file or name, and by a hub only when the config allows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolly.base_model import load_model, locate, weights_sha256
from dolly.environment import SMALL_MODEL
from dolly.errors import ModelError


def test_a_folder_a_gguf_file_and_an_installed_model_are_found(tiny_base: Path, tmp_path: Path) -> None:
    gguf = tmp_path / "model.gguf"
    gguf.touch()
    assert locate(str(tiny_base), allow_network=False) == str(tiny_base)
    assert locate(str(gguf), allow_network=False) == str(gguf)
    assert Path(locate(SMALL_MODEL, allow_network=False), "config.json").is_file()


def test_a_hub_name_needs_the_network_to_be_allowed() -> None:
    assert locate("company/model", allow_network=True) == "company/model"
    with pytest.raises(ModelError, match=r"no base model 'company/model'.*allow_network=true"):
        locate("company/model", allow_network=False)


def test_files_that_cannot_be_loaded_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError) as caught:
        load_model(str(tmp_path), dtype="float32")
    assert "\n" not in str(caught.value)


def test_the_identity_follows_the_weights(tiny_base: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tiny_base.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert weights_sha256(str(copy)) == weights_sha256(str(tiny_base))
    weights = copy / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(bytes(changed))
    assert weights_sha256(str(copy)) != weights_sha256(str(tiny_base))
