"""Gives packed attention to the models of transformers, and refuses those that can't be trained on packed examples.

`position_ids` give the positions; they start at 0 in each example. Models of transformers' attention interface (LLaMA,
GPT-NeoX and many more) take our function by its name. GPT-J and BLOOM do not use that interface: their attention
modules are given a `forward` of this module, with the same weights. It computes what transformers' eager attention
computes on each example alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from dolly.train import attention
from dolly.train.attention import Segments, alibi_slopes
from dolly.trainable import not_trainable

NAME = "dolly_packed"
# Arguments of transformers' attention functions that change the scores in ways that ours does not compute.
_CHANGES_SCORES = ("s_aux", "position_bias", "indices", "block_indices")
_FAMILIES = {"gptj": "GPTJAttention", "bloom": "BloomAttention"}


def install(model: Any) -> Callable[[Segments], None]:
    """Makes a causal LM attend within examples only.

    Args:
        model: a causal LM of transformers; changed in place, except for its weights.

    Returns:
        A function that sets the segments of a block; call it before each forward pass.

    Raises:
        ModelError: the model's attention can't be replaced.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    # The segments replace the mask, which would have the size of the block's length squared.
    AttentionInterface.register(NAME, _interface)
    AttentionMaskInterface.register(NAME, _no_mask)
    family = model.config.model_type
    modules = [module for module in model.modules() if type(module).__name__.endswith("Attention")]
    if family in _FAMILIES:
        modules = [module for module in modules if type(module).__name__ == _FAMILIES[family]]
        packed = {"gptj": GPTJPackedAttention, "bloom": BloomPackedAttention}[family]
        for module in modules:
            if not isinstance(module, packed):
                module.__class__ = _packed_class(packed, module.__class__)
    elif not getattr(model, "_supports_attention_backend", False):
        raise not_trainable(family, "attention can't be replaced")
    model.config._attn_implementation = NAME

    def set_segments(segments: Segments) -> None:
        for module in modules:
            module.segments = segments

    return set_segments


@cache
def _packed_class(packed: type[nn.Module], original: type[nn.Module]) -> type[nn.Module]:
    """One class for all layers: torch.compile compiles a layer anew for each class that it meets."""
    return type(original.__name__, (packed, original), {})


def _interface(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    unknown = [name for name in _CHANGES_SCORES if others.get(name) is not None]
    if attention_mask is not None and sliding_window is None:
        unknown.append("a mask of its own")
    if unknown:
        raise not_trainable(module.config.model_type, f"attention has {', '.join(unknown)}")
    attended = _attend(
        module,
        query,
        key,
        value,
        scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
        dropout=dropout,
        window=sliding_window,
        softcap=softcap,
    )
    return attended, None


def _attend(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **settings: Any) -> torch.Tensor:
    """Attention within the examples of the block; see `attention.packed_attention`."""
    return attention.packed_attention(query, key, value, module.segments, **settings)


def keep_attention_out_of_compilation() -> None:
    """Excludes attention from torch.compile, which would compile anew for each block: its examples' lengths differ."""
    global _attend
    _attend = torch.compiler.disable(_attend)  # type: ignore[no-untyped-call]


def _no_mask(*_: Any, local_size: int | None = None, **__: Any) -> int | None:
    """No mask, but the size of a sliding window or chunk: `_interface` refuses a window that it is not told of."""
    return local_size


class GPTJPackedAttention(nn.Module):
    """GPT-J's attention: rotary positions on the first `rotary_dim` of each head, in pairs of neighbours."""

    def forward(
        self: Any, hidden_states: torch.Tensor, position_ids: torch.Tensor, **_: Any
    ) -> tuple[torch.Tensor, None]:
        """States `(1, tokens, width)` and positions `(1, tokens)` → states, as transformers' block expects it."""
        shape = (*hidden_states.shape[:2], self.num_attention_heads, self.head_dim)
        query, key, value = (layer(hidden_states).view(shape) for layer in (self.q_proj, self.k_proj, self.v_proj))
        sincos = self.embed_positions.to(position_ids.device)[position_ids].to(key.dtype)
        sin, cos = (part[:, :, None, :, None] for part in sincos.chunk(2, dim=-1))
        query, key = (_rotated(tensor, sin, cos, self.pos_embd_dim) for tensor in (query, key))
        attended = _attend(
            self,
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            scale=self.head_dim**-0.5,
            dropout=self.attn_dropout.p if self.training else 0.0,
        )
        return self.resid_dropout(self.out_proj(attended.reshape(hidden_states.shape))), None


def _rotated(tensor: torch.Tensor, sin: torch.Tensor, cos: torch.Tensor, width: int) -> torch.Tensor:
    """Turns each pair of neighbours among the first `width` of `(batch, tokens, heads, size)` by its position."""
    pairs = tensor[..., :width].reshape(*tensor.shape[:-1], -1, 2)
    swapped = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1)
    turned = (pairs * cos + swapped * sin).flatten(-2)
    return torch.cat([turned, tensor[..., width:]], dim=-1) if width < tensor.shape[-1] else turned


class BloomPackedAttention(nn.Module):
    """BLOOM's attention: no positions but ALiBi's, which count from each example's own keys."""

    def forward(self: Any, hidden_states: torch.Tensor, residual: torch.Tensor, **_: Any) -> tuple[torch.Tensor, None]:
        """States and residual `(1, tokens, width)` → their sum after attention, as transformers' block expects it."""
        fused = self.query_key_value(hidden_states).unflatten(-1, (self.num_heads, 3, self.head_dim))
        query, key, value = (fused[..., part, :].transpose(1, 2) for part in range(3))
        attended = _attend(
            self,
            query,
            key,
            value,
            scale=self.inv_norm_factor,
            dropout=self.attention_dropout.p if self.training else 0.0,
            slopes=alibi_slopes(self.num_heads).to(hidden_states.device),
        )
        output = self.dense(attended.reshape(hidden_states.shape))
        return residual + nn.functional.dropout(output, self.hidden_dropout, self.training), None
