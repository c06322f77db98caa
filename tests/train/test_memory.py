"""Memory and FLOPs of passes that are not made: against those that are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig

from bench.specs import plain_spec
from dolly.train.batches import tensors_of
from dolly.train.memory import Memory, Parameters, measure_pass, memory, without_contents
from dolly.train.model import LanguageModelLoss
from dolly.train.plan import GPUS, Planner, Setting, flops_of, work_of
from dolly.training_set import Example

SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
WORDS = 500


def module(checkpointing: bool = False) -> LanguageModelLoss:
    model = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=WORDS, **SHAPE, tie_word_embeddings=False))
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return LanguageModelLoss(model)


def fake(
    checkpointing: bool = False, lengths: tuple[int, ...] = (100, 60, 40), frozen: bool = False
) -> tuple[Parameters, Any]:
    with torch.device("meta"):
        made = module(checkpointing).requires_grad_(not frozen)
        made.model.get_input_embeddings().weight.requires_grad_(True)
    with FakeTensorMode(allow_non_fake_inputs=True):
        without_contents(made)
        return Parameters.of(made), measure_pass(made, lengths=lengths)


def rows(count: int = 12, size: int = 50) -> list[Example]:
    return [Example(f"r{n}", "s", np.ones(size + n, np.int64), np.arange(size + n) >= 9) for n in range(count)]


def test_sizes_are_those_of_the_model() -> None:
    real = module()
    found, _ = fake()
    assert found.count == found.trained == sum(p.numel() for p in real.parameters())
    assert found.trained_bytes == 4 * found.count
    assert found.largest == max(p.numel() for p in real.parameters())


def test_tied_weights_are_counted_once() -> None:
    with torch.device("meta"):
        tied = LanguageModelLoss(
            AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=WORDS, **SHAPE, tie_word_embeddings=True))
        )
    with FakeTensorMode(allow_non_fake_inputs=True):
        without_contents(tied)
        assert fake()[0].count - Parameters.of(tied).count == WORDS * SHAPE["hidden_size"]


def test_what_a_pass_keeps_is_what_autograd_saves() -> None:
    """Measured at a real pass: the bytes of all tensors that the graph holds, parameters aside."""
    real = module()
    held: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in real.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    block = [Example(str(n), "s", np.ones(n, np.int64), np.ones(n, bool)) for n in (100, 60, 40)]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = real(**tensors_of(block))
    _, found = fake()
    # The peak lies in the loss's backward pass: all that is saved, and the logits' gradients beside it.
    assert sum(held.values()) < found.first < 1.5 * sum(held.values())
    assert found.later > found.first
    assert float(loss) > 0


def test_frozen_weights_are_no_part_of_a_pass() -> None:
    sizes, found = fake(frozen=True)
    assert sizes.trained_bytes < sizes.bytes / 2
    assert found.first <= found.later <= found.first + sizes.trained_bytes


def test_checkpointing_keeps_less_and_longer_blocks_more() -> None:
    _, plain = fake()
    _, kept = fake(checkpointing=True)
    _, longer = fake(lengths=(200, 120, 80))
    assert kept.later - kept.logits < 0.8 * (plain.later - plain.logits)
    assert longer.first > 1.5 * plain.first


def parts(**changes: Any) -> Memory:
    sizes, block = fake()
    settings: dict[str, Any] = {"one_block": False, "zero_stage": 1, "processes": 4, "offload": False, "half": False}
    return memory(sizes, block, **settings | {"on_gpu": True} | changes)


def test_each_zero_stage_parts_more() -> None:
    none, first, second, third = (parts(zero_stage=stage) for stage in range(4))
    assert first.optimizer < none.optimizer
    assert second.gradients * 4 == first.gradients
    assert third.weights < second.weights
    assert parts(offload=True).optimizer == 0
    assert parts(zero_stage=0, half=True).optimizer == 1.5 * none.optimizer


@pytest.mark.parametrize("family", ["llama", "gptj"])
def test_flops_are_those_that_torch_counts(family: str) -> None:
    given = [Example(str(n), "s", np.ones(n, np.int64), np.arange(n) >= n // 2) for n in (64, 48)]
    gptj = GPTJConfig(vocab_size=WORDS, n_embd=64, n_layer=3, n_head=4, rotary_dim=8)
    config = LlamaConfig(vocab_size=WORDS, **SHAPE, tie_word_embeddings=False) if family == "llama" else gptj
    real = LanguageModelLoss(AutoModelForCausalLM.from_config(config))
    with FlopCounterMode(display=False) as counter:
        real(**tensors_of(given)).backward()
    spec = plain_spec(batch_size=2, max_steps=1, block_tokens=200)
    expected = flops_of(real.model, work_of(spec, given), checkpointing=False)
    # Torch counts causal attention in full, and the backward pass's second look at the scores.
    assert expected == pytest.approx(counter.get_total_flops(), rel=0.12)


def planner(**changes: Any) -> Planner:
    spec = plain_spec(**{"batch_size": 4, "max_steps": 2, "block_tokens": 128, "dtype": "bfloat16"} | changes)
    return Planner(spec, rows(), lambda _, checkpointing: module(checkpointing))


def test_the_work_is_that_of_the_packed_steps() -> None:
    work = planner().work
    assert (work.rows, work.steps) == (12, 2)
    assert work.tokens <= work.blocks * 128
    assert work.packing == pytest.approx(work.tokens / (work.blocks * 128))
    assert not work.one_block


def test_a_small_model_fits_and_more_gpus_are_not_cheaper() -> None:
    plan = planner()
    for gpu in GPUS:
        best = plan.cheapest(gpu)
        assert best is not None
        assert best.setting.processes == 1
        assert best.fits
    assert plan.offer(GPUS[3], plan.asked).hours < plan.offer(GPUS[0], plan.asked).hours


def test_offloading_takes_time_and_no_gpu_memory() -> None:
    plan = planner()
    here = Setting("full", 1, 1, gradient_checkpointing=False, offload=False)
    away = Setting("full", 1, 1, gradient_checkpointing=False, offload=True)
    assert plan.offer(GPUS[0], away).memory.peak < plan.offer(GPUS[0], here).memory.peak
    assert plan.offer(GPUS[0], away).hours > plan.offer(GPUS[0], here).hours
