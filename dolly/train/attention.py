"""Attention of packed sequences: each example attends to itself only, never to its neighbours in the block.

A block holds several examples, one after another. Instead of a mask of its whole length squared, attention is
computed example by example: by PyTorch's variable-length kernel on a GPU, by `scaled_dot_product_attention`
elsewhere. `position_ids` give the positions; they start at 0 in each example.

Models of transformers' attention interface (LLaMA, GPT-NeoX and many more) take our function by its name.
GPT-J and BLOOM do not use that interface: their attention modules are given a `forward` of this module, with
the same weights. It computes what transformers' eager attention computes on each example alone.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from dolly.errors import DataError

NAME = "dolly_packed"
_FAMILIES = {"gptj": "GPTJAttention", "bloom": "BloomAttention"}


class Segments(NamedTuple):
    """Where the examples of a block begin and end.

    lengths: tokens of each example, padding last; offsets: `(examples + 1,)` int32 on the model's device.
    """

    lengths: list[int]
    offsets: torch.Tensor

    @classmethod
    def of(cls, lengths: list[int], device: torch.device | str = "cpu") -> Segments:
        """Segments of examples of these lengths."""
        sizes = torch.tensor([0, *lengths], dtype=torch.int32)
        return cls(lengths, sizes.cumsum(0, dtype=torch.int32).to(device))


def install(model: Any) -> Callable[[Segments], None]:
    """Makes a causal LM attend within examples only.

    Args:
        model: a causal LM of transformers; changed in place, except for its weights.

    Returns:
        A function that sets the segments of a block; call it before each forward pass.

    Raises:
        DataError: the model's attention can't be replaced.
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
                module.__class__ = type(type(module).__name__, (packed, type(module)), {})
    elif not getattr(model, "_supports_attention_backend", False):
        raise DataError(
            found=f"a model of type {family}, whose attention can't be replaced",
            expected=f"{', '.join(_FAMILIES)} or a model of transformers' attention interface",
            fix="set model.base to a model of one of these",
        )
    model.config._attn_implementation = NAME

    def set_segments(segments: Segments) -> None:
        for module in modules:
            module.segments = segments

    return set_segments


def packed_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    scale: float,
    dropout: float = 0.0,
    slopes: torch.Tensor | None = None,
) -> torch.Tensor:
    """Causal attention within each example.

    Args:
        query: `(1, heads, tokens, head_size)`.
        key: `(1, key_heads, tokens, head_size)`; `heads` is a multiple of `key_heads`.
        value: as `key`.
        segments: the examples; their lengths add up to `tokens`.
        scale: of the scores before the softmax.
        dropout: of the weights after it.
        slopes: ALiBi's `(heads,)` (Press et al. 2022); None for none.

    Returns:
        `(1, tokens, heads, head_size)`.
    """
    if _has_kernel(query) and not dropout and slopes is None:
        return _by_kernel(query, key, value, segments, scale=scale)
    if key.shape[1] != query.shape[1]:
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    # One split: its gradient is one concatenation, where slices would each make a gradient of full length.
    parts = [torch.split(tensor, segments.lengths, dim=2) for tensor in (query, key, value)]
    bias = _alibi(slopes, max(segments.lengths)).to(query.dtype) if slopes is not None else None
    outputs = [
        scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if bias is None else bias[:, : q.shape[2], : q.shape[2]],
            is_causal=bias is None,
            scale=scale,
            dropout_p=dropout,
        )
        for q, k, v in zip(*parts, strict=True)
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2)


def keep_out_of_compilation() -> None:
    """Excludes the attention from torch.compile: the lengths of its segments change with each block."""
    global packed_attention
    packed_attention = torch.compiler.disable(packed_attention)  # type: ignore[no-untyped-call]


def _has_kernel(query: torch.Tensor) -> bool:
    return query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and query.shape[-1] <= 256


def _by_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, *, scale: float
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    longest = max(segments.lengths)
    groups = query.shape[1] // key.shape[1]
    query, key, value = (tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value))
    arguments: dict[str, Any] = {"scale": scale, "window_size": (-1, 0), "enable_gqa": groups > 1}
    parameters = signature(varlen_attn).parameters
    if "enable_gqa" not in parameters:  # before PyTorch 2.12
        del arguments["enable_gqa"]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if "window_size" not in parameters:
        del arguments["window_size"]
        arguments["is_causal"] = True
    output = varlen_attn(query, key, value, segments.offsets, segments.offsets, longest, longest, **arguments)
    assert isinstance(output, torch.Tensor)
    return output[None]


def _alibi(slopes: torch.Tensor, length: int) -> torch.Tensor:
    """`(heads, length, length)`: distance back to each key times the head's slope; minus infinity for later keys."""
    position = torch.arange(length, device=slopes.device)
    distance = (position[None, :] - position[:, None]).to(slopes.dtype)
    return (slopes[:, None, None] * distance).masked_fill(distance > 0, float("-inf"))


def alibi_slopes(heads: int) -> torch.Tensor:
    """ALiBi's slope of each head `(heads,)`: a geometric sequence, extended from that of twice as many heads."""

    def sequence(count: int) -> torch.Tensor:
        return torch.pow(2.0, -8.0 / count * torch.arange(1, count + 1))

    whole = 1 << (heads.bit_length() - 1)
    return torch.cat([sequence(whole), sequence(2 * whole)[::2][: heads - whole]])


def _interface(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return packed_attention(query, key, value, module.segments, scale=scale, dropout=dropout), None


def _no_mask(*_: Any, **__: Any) -> None:
    return None


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
        attended = packed_attention(
            query.transpose(1, 2),
            key.transpose(1, 2),
            value.transpose(1, 2),
            self.segments,
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
        attended = packed_attention(
            query,
            key,
            value,
            self.segments,
            scale=self.inv_norm_factor,
            dropout=self.attention_dropout.p if self.training else 0.0,
            slopes=alibi_slopes(self.num_heads).to(hidden_states.device),
        )
        output = self.dense(attended.reshape(hidden_states.shape))
        return residual + nn.functional.dropout(output, self.hidden_dropout, self.training), None
