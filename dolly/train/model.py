"""The module that DeepSpeed trains: a causal LM, with adapters or whole, that returns its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dolly.base_model import load_config, load_for_prompt
from dolly.prompts import Prompt
from dolly.train import attention, families
from dolly.trainable import not_trainable

_CHUNK = 1024  # tokens; of 50,000 words that is 200 MB of logits
# GELU by its tanh formula in eight operations (GPT-J, GPT-2, Phi, BLOOM).
_SLOW_GELUS = {"NewGELUActivation", "FastGELUActivation", "BloomGelu"}


class LanguageModelLoss(nn.Module):
    """Summed cross-entropy of a causal LM over the tokens with loss of a packed block.

    The vocabulary projection runs on those tokens only, in chunks: logits are the largest tensor of a small model's
    step, and prompts need none.

    Args:
        model: a causal LM of transformers; its attention is replaced by one within each example.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._set_segments = families.install(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        loss_positions: torch.Tensor,
        targets: torch.Tensor,
        lengths: list[int],
    ) -> torch.Tensor:
        """Returns the summed loss of a block, a scalar; for the arguments see `batches.tensors_of`."""
        states = self.states(input_ids, position_ids, lengths)
        return summed_cross_entropy(self.logits, states[0, loss_positions], targets)

    def states(self, input_ids: torch.Tensor, position_ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        """The last hidden states `(1, tokens, width)` of a block."""
        self._set_segments(attention.Segments.of(lengths, input_ids.device))
        output = self.model.base_model(input_ids=input_ids, position_ids=position_ids, use_cache=False)
        return cast(torch.Tensor, output.last_hidden_state)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Projects states `(tokens, width)` to the vocabulary, scaled and bounded as the model does it."""
        config = self.model.config
        logits = self.model.get_output_embeddings()(states)
        if scale := getattr(config, "logit_scale", None):  # Cohere
            logits = logits * scale
        if divisor := getattr(config, "logits_scaling", None):  # Granite
            logits = logits / divisor
        if bound := getattr(config, "final_logit_softcapping", None):  # Gemma 2
            logits = bound * torch.tanh(logits / bound)
        return cast(torch.Tensor, logits)


@torch.no_grad()
def verify(model: Any) -> None:
    """Compares the logits of three packed examples with those of each alone, from the model as transformers runs it.

    Packing would train other models wrongly, without an error: those with a state or a convolution that runs on from
    one example into the next, that count positions by themselves, or that change their logits in an unknown way.

    Args:
        model: a causal LM as transformers loaded it; its attention is replaced.

    Raises:
        ModelError: a token's logits differ by more than rounding.
    """
    embeddings = model.get_input_embeddings().weight
    draw, lengths = torch.Generator().manual_seed(0), [5, 17, 9]
    examples = [torch.randint(embeddings.shape[0], (1, n), generator=draw).to(embeddings.device) for n in lengths]
    training = model.training
    model.eval()
    expected = torch.cat([model(input_ids=row, use_cache=False).logits[0] for row in examples]).float()
    module = LanguageModelLoss(model).eval()
    positions = torch.cat([torch.arange(length) for length in lengths])[None].to(embeddings.device)
    states = module.states(torch.cat(examples, dim=1), positions, lengths)
    found = module.logits(states[0]).float()
    model.train(training)
    error = float(((found - expected).norm(dim=-1) / expected.norm(dim=-1)).max())
    if not error <= (1e-3 if embeddings.dtype == torch.float32 else 0.1):  # also if it is NaN
        reason = f"packed examples give other logits than each alone (relative error {error:.2g})"
        raise not_trainable(model.config.model_type, reason)


def summed_cross_entropy(
    head: Callable[[torch.Tensor], torch.Tensor], states: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """The loss of states `(tokens, width)` under a vocabulary projection, without the logits of all of them.

    With more than `_CHUNK` tokens, each chunk's logits are computed, reduced to a loss and freed. The backward pass
    computes them again: a third more for a projection that is a few percent of the model.
    """
    parts = zip(torch.split(states, _CHUNK), torch.split(targets, _CHUNK), strict=True)
    if len(states) <= _CHUNK or not torch.is_grad_enabled():
        losses = [_chunk_loss(head, *part) for part in parts]
    else:
        losses = [checkpoint(_chunk_loss, head, *part, use_reentrant=False) for part in parts]
    return torch.stack(losses).sum()


def _chunk_loss(
    head: Callable[[torch.Tensor], torch.Tensor], states: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    return nn.functional.cross_entropy(head(states).float(), targets, reduction="sum")


def build(
    *,
    base: str,
    dtype: str,
    prompt: Prompt,
    method: str,
    **settings: Any,
) -> tuple[Any, Any]:
    """Loads a base model ready for training; `settings` as in `TrainSpec.shaping`.

    Returns:
        The model (its trainable parameters require a gradient) and its tokenizer.
    """
    model, tokenizer = load_for_prompt(base, dtype=dtype, prompt=prompt, four_bit=method == "qlora")
    _prepare(model, method=method, **settings)
    return model, tokenizer


def shape(base: str, *, dtype: str, words: int, **settings: Any) -> LanguageModelLoss:
    """Builds the module to be trained with arbitrary weights; for `torch._subclasses.FakeTensorMode`.

    Args:
        base: a located base model; only its config is read.
        dtype: of its weights.
        words: vocabulary size of the tokenizer with the prompt's markers.
        settings: as in `TrainSpec.shaping`.
    """
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(load_config(base), dtype=getattr(torch, dtype))
    if words > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(words, mean_resizing=False)
    _prepare(model, **settings)
    return LanguageModelLoss(model)


def _prepare(
    model: Any,
    *,
    method: str,
    lora_rank: int,
    lora_alpha: int,
    lora_dropout: float,
    lora_targets: Sequence[str] = (),
    gradient_checkpointing: bool = False,
) -> None:
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    _fuse_gelu(model)
    if method != "full":
        _add_adapters(model, rank=lora_rank, alpha=lora_alpha, dropout=lora_dropout, targets=lora_targets)


def _fuse_gelu(model: Any) -> None:
    """Replaces transformers' GELUs of several operations by PyTorch's one: equal up to rounding.

    Each operation reads and writes a layer's widest tensor and keeps it for the backward pass.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child).__name__ in _SLOW_GELUS:
                setattr(module, name, nn.GELU(approximate="tanh"))


def compile_layers(model: Any) -> None:
    """Compiles each decoder layer with torch.compile: they are the longest `ModuleList` of a causal LM."""
    families.keep_attention_out_of_compilation()
    for layer in max((module for module in model.modules() if isinstance(module, nn.ModuleList)), key=len):
        layer.compile(dynamic=True)  # blocks differ in length


def merge_adapters(model: Any) -> None:
    """Adds each adapter to the weight it belongs to and removes it, in place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            model.set_submodule(name, layer.get_base_layer())


def _add_adapters(model: Any, *, rank: int, alpha: int, dropout: float, targets: Sequence[str]) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(targets) or "all-linear",
        task_type="CAUSAL_LM",
    )
    dtype = model.dtype
    inject_adapter_in_model(config, model)
    for parameter in model.parameters():  # peft makes fp32 ones, which would turn each layer's input to fp32
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
