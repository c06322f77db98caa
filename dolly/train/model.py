"""The module that DeepSpeed trains: a causal LM, with adapters or whole, that returns its loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dolly.base_model import load_for_prompt
from dolly.prompts import Prompt
from dolly.train.batches import IGNORED


class LanguageModelLoss(nn.Module):
    """Summed cross-entropy of a causal LM over the tokens that are to be learnt.

    The vocabulary projection runs on those tokens only: logits are the largest tensor of a small
    model's step, and prompts and padding need none.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Args have the shape `(batch, sequence)`; returns a scalar, the sum over learnt tokens."""
        body, head = self.model.base_model, self.model.get_output_embeddings()
        states = body(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        learnt = targets != IGNORED
        logits = head(states.last_hidden_state[learnt])  # (learnt tokens, vocabulary)
        return nn.functional.cross_entropy(logits.float(), targets[learnt], reduction="sum")


def build(
    *,
    base: str,
    dtype: str,
    prompt: Prompt,
    method: str,
    lora_rank: int,
    lora_alpha: int,
    lora_dropout: float,
    gradient_checkpointing: bool = False,
) -> tuple[Any, Any]:
    """Loads a base model ready for training.

    Returns:
        The model (its trainable parameters require a gradient) and its tokenizer.
    """
    model, tokenizer = load_for_prompt(base, dtype=dtype, prompt=prompt)
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if method == "lora":
        _add_adapters(model, rank=lora_rank, alpha=lora_alpha, dropout=lora_dropout)
    return model, tokenizer


def merge_adapters(model: Any) -> None:
    """Adds each adapter to the weight it belongs to and removes it, in place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())


def _add_adapters(model: Any, *, rank: int, alpha: int, dropout: float) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    inject_adapter_in_model(config, model)
