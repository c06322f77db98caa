"""The trained module: the loss of a plain causal LM, for each kind of base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dolly.base_model import load_for_prompt
from dolly.prompts import Prompt
from dolly.train.batches import collate
from dolly.train.model import LanguageModelLoss, build, merge_adapters
from dolly.training_set import Example

pytestmark = pytest.mark.model


def example(length: int, seed: int) -> Example:
    draw = np.random.default_rng(seed)
    mask = np.arange(length) >= length // 2
    return Example(f"e{seed}", "s", draw.integers(3, 200, length), mask)


ROWS = [example(length, seed) for seed, length in enumerate((5, 12, 9))]


@pytest.fixture(scope="module")
def tiny_gptj(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import GPTJConfig, GPTJForCausalLM

    folder = tmp_path_factory.mktemp("gptj")
    torch.manual_seed(0)
    config = GPTJConfig(vocab_size=len(tiny_tokenizer), n_embd=64, n_layer=2, n_head=4, rotary_dim=8, n_positions=256)
    GPTJForCausalLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


def built(base: Path, method: str = "full", prompt: Prompt | None = None, **changes: Any) -> Any:
    settings: dict[str, Any] = {"lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.0} | changes
    model, _ = build(base=str(base), dtype="float32", prompt=prompt or Prompt(), method=method, **settings)
    return model.eval()


@pytest.mark.parametrize("family", ["tiny_base", "tiny_gptj"])
def test_the_loss_is_that_of_full_logits(family: str, request: pytest.FixtureRequest) -> None:
    model = built(request.getfixturevalue(family))
    batch = collate(ROWS)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), batch["targets"].flatten(), ignore_index=-100, reduction="sum"
    )
    torch.testing.assert_close(LanguageModelLoss(model)(**batch), expected, rtol=1e-5, atol=1e-4)


def test_padding_changes_no_loss(tiny_base: Path) -> None:
    module = LanguageModelLoss(built(tiny_base))
    alone = sum(module(**collate([row])) for row in ROWS)
    torch.testing.assert_close(module(**collate(ROWS)), alone, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("family", ["tiny_base", "tiny_gptj"])
def test_only_adapters_are_trained_and_merging_keeps_the_output(family: str, request: pytest.FixtureRequest) -> None:
    model = built(request.getfixturevalue(family), method="lora")
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    with torch.no_grad():
        for number, parameter in enumerate(trained.values()):
            parameter.normal_(0, 0.05, generator=torch.Generator().manual_seed(number))
    batch = collate(ROWS)
    before = LanguageModelLoss(model)(**batch)
    merge_adapters(model)
    assert not [name for name, _ in model.named_parameters() if "lora" in name or "base_layer" in name]
    torch.testing.assert_close(LanguageModelLoss(model)(**batch), before, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("family", ["tiny_base", "tiny_gptj"])
def test_an_added_marker_begins_as_the_mean_of_its_words(family: str, request: pytest.FixtureRequest) -> None:
    model, tokenizer = load_for_prompt(str(request.getfixturevalue(family)), dtype="float32", prompt=Prompt("dolly"))
    marker = tokenizer.convert_tokens_to_ids("### Response:")
    words = tokenizer.encode("### Response:", add_special_tokens=False, split_special_tokens=True)
    assert len(words) > 1
    assert marker not in words
    embeddings = model.get_input_embeddings().weight
    torch.testing.assert_close(embeddings[marker], embeddings[words].mean(dim=0))


def test_gradient_checkpointing_changes_no_gradient(tiny_base: Path) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = built(tiny_base, gradient_checkpointing=checkpointing).train()
        LanguageModelLoss(model)(**collate(ROWS)).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)
