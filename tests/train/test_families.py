"""Packed and alone give the same, for each family of models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dolly.errors import ModelError
from dolly.train.families import install
from dolly.train.model import LanguageModelLoss, verify
from dolly.trainable import TRAINABLE

pytestmark = pytest.mark.model

LENGTHS = [7, 1, 19, 33, 2, 12]
SMALL = {"vocab_size": 199}
SHAPE = SMALL | {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 6}
GROUPED = SHAPE | {"num_key_value_heads": 2, "head_dim": 8}


def config(family: str) -> Any:
    from transformers import (
        BloomConfig,
        CohereConfig,
        Gemma2Config,
        Gemma3TextConfig,
        GPT2Config,
        GPTJConfig,
        GPTNeoXConfig,
        GraniteConfig,
        LlamaConfig,
        MistralConfig,
        OPTConfig,
        PhiConfig,
        Qwen2Config,
        Qwen3Config,
    )

    return {
        "llama": lambda: LlamaConfig(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            **SMALL,
        ),
        "gptj": lambda: GPTJConfig(n_embd=64, n_layer=3, n_head=4, rotary_dim=8, n_positions=128, **SMALL),
        "gptj_whole": lambda: GPTJConfig(n_embd=64, n_layer=3, n_head=4, rotary_dim=16, n_positions=128, **SMALL),
        "neox": lambda: GPTNeoXConfig(
            hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, **SMALL
        ),
        "bloom": lambda: BloomConfig(hidden_size=60, n_layer=3, n_head=6, **SMALL),
        "mistral": lambda: MistralConfig(sliding_window=5, **GROUPED),
        # The first layer has a window of 5 tokens, the second none; both bound the scores.
        "gemma2": lambda: Gemma2Config(
            sliding_window=5,
            attn_logit_softcapping=0.5,
            final_logit_softcapping=2.0,
            query_pre_attn_scalar=8,
            attn_implementation="eager",
            **GROUPED,
        ),
        "gemma3": lambda: Gemma3TextConfig(sliding_window=5, **GROUPED),
        "cohere": lambda: CohereConfig(logit_scale=3.0, **GROUPED),
        "granite": lambda: GraniteConfig(logits_scaling=0.2, **GROUPED),
        "qwen2": lambda: Qwen2Config(**SHAPE, num_key_value_heads=2),
        "qwen3": lambda: Qwen3Config(**GROUPED),
        "phi": lambda: PhiConfig(**SHAPE),
        "gpt2": lambda: GPT2Config(n_embd=48, n_layer=2, n_head=6, n_positions=128, **SMALL),
        "opt": lambda: OPTConfig(
            hidden_size=48, ffn_dim=96, num_hidden_layers=2, num_attention_heads=6, word_embed_proj_dim=48, **SMALL
        ),
    }[family]()


# The model types of these are `TRAINABLE`.
FAMILIES = (
    "llama",
    "gptj",
    "gptj_whole",
    "neox",
    "bloom",
    "mistral",
    "gemma2",
    "gemma3",
    "cohere",
    "granite",
    "qwen2",
    "qwen3",
    "phi",
    "gpt2",
    "opt",
)


def model(family: str) -> Any:
    """A model with random weights large enough that attention is far from uniform."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    return scaled(AutoModelForCausalLM.from_config(config(family), attn_implementation="eager")).eval()


def scaled(made: Any) -> Any:
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return made


def rows() -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    return [torch.randint(3, 199, (1, length), generator=draw) for length in LENGTHS]


def packed(made: Any, examples: list[torch.Tensor]) -> torch.Tensor:
    module = LanguageModelLoss(made)
    positions = torch.cat([torch.arange(row.shape[1]) for row in examples])[None]
    lengths = [row.shape[1] for row in examples]
    return module.logits(module.states(torch.cat(examples, dim=1), positions, lengths))


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_gives_the_logits_of_each_example_alone(family: str) -> None:
    examples = rows()
    with torch.no_grad():
        alone = torch.cat([model(family)(input_ids=row).logits for row in examples], dim=1)
        together = packed(model(family), examples)
    assert alone.std() > 0.5
    assert (together - alone).abs().max() < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_gives_the_gradients_of_eager_attention(family: str) -> None:
    examples = rows()
    eager, ours = model(family), model(family)
    weights = torch.randn(sum(LENGTHS), 199, generator=torch.Generator().manual_seed(1))
    (torch.cat([eager(input_ids=row).logits[0] for row in examples]) * weights).sum().backward()
    (packed(ours, examples)[0] * weights).sum().backward()
    wanted = dict(eager.named_parameters())
    for name, parameter in ours.named_parameters():
        scale = wanted[name].grad.abs().max().clamp(min=0.1)
        assert (parameter.grad - wanted[name].grad).abs().max() / scale < 1e-4, name


@pytest.mark.parametrize("family", FAMILIES)
def test_what_lies_beside_an_example_changes_nothing(family: str) -> None:
    examples = rows()
    with torch.no_grad():
        before = packed(model(family), examples)
        other = [torch.full_like(row, 11) if at != 3 else row for at, row in enumerate(examples)]
        after = packed(model(family), other)
    start = sum(LENGTHS[:3])
    torch.testing.assert_close(after[0, start : start + LENGTHS[3]], before[0, start : start + LENGTHS[3]])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_replaced_attention_keeps_names_and_weights(family: str) -> None:
    plain, ours = model(family), model(family)
    install(ours)
    install(ours)
    assert {name: p.shape for name, p in ours.state_dict().items()} == {
        name: p.shape for name, p in plain.state_dict().items()
    }


def test_a_model_whose_attention_cannot_be_confined_is_refused() -> None:
    from transformers import AutoModelForCausalLM, XLNetConfig

    other = AutoModelForCausalLM.from_config(XLNetConfig(vocab_size=99, d_model=32, n_layer=1, n_head=2, d_inner=32))
    with pytest.raises(ModelError, match="type xlnet"):
        install(other)


@pytest.mark.parametrize("family", FAMILIES)
def test_these_families_are_verified(family: str) -> None:
    made = model(family).train()
    verify(made)
    assert made.training


def test_a_model_whose_examples_influence_each_other_is_refused() -> None:
    from transformers import AutoModelForCausalLM, Lfm2Config

    config = Lfm2Config(**GROUPED, layer_types=["conv", "full_attention"])
    made = scaled(AutoModelForCausalLM.from_config(config))
    with pytest.raises(ModelError, match="lfm2, whose packed examples give other logits"):
        verify(made)


def test_a_window_that_attention_is_not_told_of_is_refused() -> None:
    from transformers import AutoModelForCausalLM, Llama4TextConfig

    config = Llama4TextConfig(**GROUPED, intermediate_size_mlp=48, num_local_experts=2, attention_chunk_size=8)
    with pytest.raises(ModelError, match="llama4_text, whose attention has a mask of its own"):
        verify(AutoModelForCausalLM.from_config(config, attn_implementation="eager"))


def test_attention_with_other_scores_is_refused() -> None:
    from transformers import AutoModelForCausalLM, GptOssConfig

    experts = {"num_local_experts": 2, "num_experts_per_tok": 1}
    config = GptOssConfig(**GROUPED, **experts, layer_types=["full_attention", "full_attention"])
    with pytest.raises(ModelError, match="gpt_oss, whose attention has s_aux"):
        verify(AutoModelForCausalLM.from_config(config, attn_implementation="eager"))


def test_the_families_that_are_trained_without_a_look_at_their_class_are_the_compared_ones() -> None:
    assert {config(family).model_type for family in FAMILIES} == TRAINABLE


@pytest.mark.parametrize("family", ["gptj", "bloom"])
def test_all_layers_and_models_of_a_family_have_one_class_of_attention(family: str) -> None:
    """torch.compile compiles a layer anew for each class that it meets, and gives up after eight."""
    made = [model(family), model(family)]
    for one in made:
        install(one)
    classes = {type(m) for one in made for m in one.modules() if type(m).__name__.endswith("Attention")}
    assert len(classes) == 1
