"""Packed and alone give the same, for each family of models."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dolly.errors import DataError
from dolly.train.attention import Segments, alibi_slopes, install

pytestmark = pytest.mark.model

LENGTHS = [7, 1, 19, 33, 2, 12]


def config(family: str) -> Any:
    from transformers import BloomConfig, GPTJConfig, GPTNeoXConfig, LlamaConfig

    small = {"vocab_size": 199}
    return {
        "llama": lambda: LlamaConfig(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            **small,
        ),
        "gptj": lambda: GPTJConfig(n_embd=64, n_layer=3, n_head=4, rotary_dim=8, n_positions=128, **small),
        "gptj_whole": lambda: GPTJConfig(n_embd=64, n_layer=3, n_head=4, rotary_dim=16, n_positions=128, **small),
        "neox": lambda: GPTNeoXConfig(
            hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, **small
        ),
        "bloom": lambda: BloomConfig(hidden_size=60, n_layer=3, n_head=6, **small),
    }[family]()


FAMILIES = ("llama", "gptj", "gptj_whole", "neox", "bloom")


def model(family: str) -> Any:
    """A model with random weights large enough that attention is far from uniform."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    made = AutoModelForCausalLM.from_config(config(family), attn_implementation="eager")
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return made.eval()


def rows() -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(5)
    return [torch.randint(3, 199, (1, length), generator=draw) for length in LENGTHS]


def packed(made: Any, examples: list[torch.Tensor]) -> torch.Tensor:
    tell = install(made)
    tell(Segments.of([row.shape[1] for row in examples]))
    positions = torch.cat([torch.arange(row.shape[1]) for row in examples])[None]
    return made(input_ids=torch.cat(examples, dim=1), position_ids=positions, use_cache=False).logits


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
        scale = wanted[name].grad.abs().max().clamp(min=1e-6)
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
    with pytest.raises(DataError, match="type xlnet"):
        install(other)


@pytest.mark.parametrize("heads", [1, 2, 4, 6, 8, 12, 16, 25])
def test_the_slopes_are_those_of_bloom(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    alibi = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    torch.testing.assert_close(alibi_slopes(heads), alibi[:, 0, 1])
