"""The trained module: the loss of a plain causal LM, for each kind of base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dolly.base_model import load_for_prompt
from dolly.prompts import Prompt
from dolly.train.batches import tensors_of
from dolly.train.model import LanguageModelLoss, build, merge_adapters, summed_cross_entropy
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
def test_the_loss_is_that_of_full_logits_of_each_row_alone(family: str, request: pytest.FixtureRequest) -> None:
    model = built(request.getfixturevalue(family))
    expected = torch.zeros(())
    for row in ROWS:
        block = tensors_of([row])
        logits = model(input_ids=block["input_ids"]).logits[0]
        expected += torch.nn.functional.cross_entropy(
            logits[block["loss_positions"]], block["targets"], reduction="sum"
        )
    torch.testing.assert_close(LanguageModelLoss(model)(**tensors_of(ROWS)), expected, rtol=1e-5, atol=1e-4)


def test_the_loss_in_chunks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    states = torch.randn(50, 16, generator=draw)
    targets = torch.randint(0, 99, (50,), generator=draw)
    found = []
    for chunk in (1_000, 7):
        monkeypatch.setattr("dolly.train.model._CHUNK", chunk)
        torch.manual_seed(1)
        head, given = torch.nn.Linear(16, 99), states.clone().requires_grad_()
        loss = summed_cross_entropy(head, given, targets)
        loss.backward()
        found.append((loss.detach(), given.grad, head.weight.grad, head.bias.grad))
    for whole, chunks in zip(*found, strict=True):
        torch.testing.assert_close(chunks, whole, rtol=1e-5, atol=1e-5)


def test_a_block_without_a_learnt_token_has_no_loss_and_no_gradient(tiny_base: Path) -> None:
    model = built(tiny_base)
    row = ROWS[0]
    silent = Example("silent", "s", row.input_ids, np.zeros_like(row.loss_mask))
    loss = LanguageModelLoss(model)(**tensors_of([silent]))
    loss.backward()
    assert loss.item() == 0
    assert not any(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("family", ["tiny_base", "tiny_gptj"])
def test_only_adapters_are_trained_and_merging_keeps_the_output(family: str, request: pytest.FixtureRequest) -> None:
    model = built(request.getfixturevalue(family), method="lora")
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    with torch.no_grad():
        for number, parameter in enumerate(trained.values()):
            parameter.normal_(0, 0.05, generator=torch.Generator().manual_seed(number))
    batch = tensors_of(ROWS)
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
    for times, checkpointing in ((1, False), (2, True)):  # what is not kept is computed again
        model = built(tiny_base, gradient_checkpointing=checkpointing).train()
        calls: list[None] = []
        model.model.layers[0].self_attn.register_forward_pre_hook(lambda *_, calls=calls: calls.append(None))
        LanguageModelLoss(model)(**tensors_of(ROWS)).backward()
        assert len(calls) == times
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


def test_gelu_as_one_operation_changes_the_loss_and_gradients_by_rounding_only(tiny_gptj: Path) -> None:
    fused = built(tiny_gptj)
    plain, _ = load_for_prompt(str(tiny_gptj), prompt=Prompt(), dtype="float32")
    kinds = {type(module).__name__ for module in fused.modules()}
    assert "GELU" in kinds
    assert "NewGELUActivation" not in kinds
    assert "NewGELUActivation" in {type(module).__name__ for module in plain.modules()}
    for model in (fused, plain):
        LanguageModelLoss(model)(**tensors_of(ROWS)).backward()
    wanted = dict(plain.named_parameters())
    for name, parameter in fused.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name].grad, rtol=1e-4, atol=1e-5)
