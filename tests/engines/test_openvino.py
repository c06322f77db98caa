"""Converted models give the tokens of transformers, family by family; those that would not are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dolly.engines.base import Sampling, run_all
from dolly.engines.convert import CONVERTED, compared, convert, require_close, why_not
from dolly.engines.openvino import OpenVINOSpec
from dolly.engines.reference import ReferenceRunner
from dolly.inference import ChatModel
from dolly.prompts import Prompt

pytestmark = pytest.mark.model

LENGTH = 256
PROMPTS = [[5], [7, 9, 11, 200, 42], list(range(3, 130)), [90] * 40 + [17]]


def made(family: str, words: int) -> Any:
    import transformers as t

    shape = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    common = {"vocab_size": words, "max_position_embeddings": LENGTH}
    gpt = {"vocab_size": words, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": LENGTH}
    grouped = shape | common | {"num_key_value_heads": 2}
    config: Any = {
        "gpt2": lambda: t.GPT2Config(**gpt),
        "gpt_neox": lambda: t.GPTNeoXConfig(**shape, **common),
        "gptj": lambda: t.GPTJConfig(**gpt, rotary_dim=8),
        "granite": lambda: t.GraniteConfig(**grouped, logits_scaling=2.0),
        "llama": lambda: t.LlamaConfig(**grouped),
        "mistral": lambda: t.MistralConfig(**grouped, head_dim=16, sliding_window=None),
        "opt": lambda: t.OPTConfig(
            hidden_size=64, ffn_dim=96, num_hidden_layers=2, num_attention_heads=4, word_embed_proj_dim=64, **common
        ),
        "phi": lambda: t.PhiConfig(**shape, **common),
        "qwen2": lambda: t.Qwen2Config(**grouped),
        "qwen3": lambda: t.Qwen3Config(**grouped, head_dim=16),
        "bloom": lambda: t.BloomConfig(vocab_size=words, hidden_size=64, n_layer=2, n_head=4),
        "gemma2": lambda: t.Gemma2Config(**grouped, head_dim=16, attn_implementation="eager"),
    }[family]()
    torch.manual_seed(4)
    model = t.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # of a random model all tokens are near equal
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.dim() > 1 else 1)
    return model.eval()


@pytest.mark.parametrize("family", sorted(CONVERTED))
def test_a_converted_model_gives_the_tokens_of_transformers(family: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    model = made(family, len(tiny_tokenizer))
    assert why_not(model.config) is None
    reference = ReferenceRunner(ChatModel(model, tiny_tokenizer, Prompt()), context_length=LENGTH)
    sampling = Sampling(max_tokens=20)
    theirs = run_all(reference, PROMPTS, sampling)
    convert(model, tmp_path / "converted")
    runner = OpenVINOSpec(tmp_path / "converted", "fp32", LENGTH, 2048).open()
    ours = run_all(runner, PROMPTS, sampling)
    assert [[token.id for token in answer] for answer in ours] == [[token.id for token in answer] for answer in theirs]
    comparison = compared(ours, theirs)
    assert comparison.largest_difference < 1e-3
    require_close(comparison, "fp32")
    # To the end of the context, and one at a time as all together.
    (longest,) = run_all(runner, [[8] * (LENGTH - 3)], Sampling(max_tokens=3))
    assert len(longest) == 3
    alone = [run_all(runner, [prompt], sampling)[0] for prompt in PROMPTS]
    assert [[token.id for token in answer] for answer in alone] == [[token.id for token in answer] for answer in ours]


@pytest.mark.parametrize("family", ["bloom", "gemma2"])
def test_families_that_are_not_converted(family: str) -> None:
    import transformers as t

    config = {"bloom": t.BloomConfig, "gemma2": t.Gemma2Config}[family]()
    assert family in str(why_not(config))


def test_settings_that_a_trace_can_not_hold_are_not_converted() -> None:
    import transformers as t

    assert "window" in str(why_not(t.MistralConfig(sliding_window=128)))
    assert "window" in str(why_not(t.Qwen2Config(use_sliding_window=True, sliding_window=128, max_window_layers=1)))
    dynamic = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    assert "dynamic" in str(why_not(t.LlamaConfig(rope_parameters=dynamic)))


def test_a_wrong_conversion_is_refused(tiny_tokenizer: Any, tmp_path: Path) -> None:
    from dolly.errors import ModelError

    model = made("llama", len(tiny_tokenizer))
    reference = ReferenceRunner(ChatModel(model, tiny_tokenizer, Prompt()), context_length=LENGTH)
    theirs = run_all(reference, PROMPTS, Sampling(max_tokens=8))
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight.mul_(1.2)
    convert(model, tmp_path / "converted")
    ours = run_all(OpenVINOSpec(tmp_path / "converted", "fp32", LENGTH, 2048).open(), PROMPTS, Sampling(max_tokens=8))
    with pytest.raises(ModelError, match="log-probabilities"):
        require_close(compared(ours, theirs), "fp32")


def test_int8_weights_are_near(tiny_tokenizer: Any, tmp_path: Path) -> None:
    model = made("llama", len(tiny_tokenizer))
    reference = ReferenceRunner(ChatModel(model, tiny_tokenizer, Prompt()), context_length=LENGTH)
    theirs = run_all(reference, PROMPTS, Sampling(max_tokens=8))
    for precision in ("int8", "fp32"):
        convert(model, tmp_path / precision, precision=precision)
    ours = run_all(OpenVINOSpec(tmp_path / "int8", "int8", LENGTH, 2048).open(), PROMPTS, Sampling(max_tokens=8))
    assert 1e-4 < compared(ours, theirs).mean_difference < 1.0
    size = {p: (tmp_path / p / "openvino_model.bin").stat().st_size for p in ("int8", "fp32")}
    assert size["int8"] < 0.4 * size["fp32"]
    assert json.loads((tmp_path / "int8" / "config.json").read_text()) == {"model_type": "llama"}
