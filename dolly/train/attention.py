"""Attention of packed sequences: each example attends to itself only, never to its neighbours in the block.

A block holds several examples, one after another. Instead of a mask of its whole length squared, attention is
computed example by example: by PyTorch's variable-length kernel on a GPU, by `scaled_dot_product_attention`
elsewhere. `families` gives it to the models.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


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


def packed_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    scale: float,
    dropout: float = 0.0,
    slopes: torch.Tensor | None = None,
    window: int | None = None,
    softcap: float | None = None,
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
        window: the number of last tokens that each token attends to, itself included; None for all.
        softcap: bound of the scores, by tanh (Gemma 2); None for none.

    Returns:
        `(1, tokens, heads, head_size)`.
    """
    if _has_kernel(query) and not dropout and slopes is None and softcap is None:
        return _by_kernel(query, key, value, segments, scale=scale, window=window)
    if key.shape[1] != query.shape[1]:
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    mask = None
    longest = max(segments.lengths)
    if slopes is not None:
        mask = _alibi(slopes, longest).to(query.dtype)
    elif window is not None and window < longest:
        mask = _band(longest, window, query.device)
    attend = scaled_dot_product_attention if softcap is None else partial(_capped_attention, softcap=softcap)
    attend = partial(attend, scale=scale, dropout_p=dropout)
    return _example_by_example(query, key, value, segments, mask=mask, attend=attend)


def _has_kernel(query: torch.Tensor) -> bool:
    return query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) and query.shape[-1] <= 256


def _by_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    scale: float,
    window: int | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    longest = max(segments.lengths)
    groups = query.shape[1] // key.shape[1]
    query, key, value = (tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value))
    arguments: dict[str, Any] = {"scale": scale, "window_size": (-1 if window is None else window - 1, 0)}
    if "enable_gqa" in _options_of(varlen_attn):
        arguments["enable_gqa"] = groups > 1
    else:  # before PyTorch 2.12
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if window is None and "window_size" not in _options_of(varlen_attn):  # before PyTorch 2.11
        del arguments["window_size"]
        arguments["is_causal"] = True
    output = varlen_attn(query, key, value, segments.offsets, segments.offsets, longest, longest, **arguments)
    assert isinstance(output, torch.Tensor)
    return output[None]


def _example_by_example(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: Segments,
    *,
    mask: torch.Tensor | None,
    attend: Callable[..., torch.Tensor],
) -> torch.Tensor:
    """Attends within each example, with the beginning of `mask`, or causally if it is None."""
    # One split: its gradient is one concatenation, where slices would each make a gradient of full length.
    parts = [torch.split(tensor, segments.lengths, dim=2) for tensor in (query, key, value)]
    outputs = []
    for q, k, v in zip(*parts, strict=True):
        length = q.shape[2]
        own = None if mask is None else mask[..., :length, :length]
        outputs.append(attend(q, k, v, attn_mask=own, is_causal=own is None))
    return torch.cat(outputs, dim=2).transpose(1, 2)


def _capped_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    attn_mask: torch.Tensor | None,
    is_causal: bool,
    scale: float,
    dropout_p: float,
    softcap: float,
) -> torch.Tensor:
    """As `scaled_dot_product_attention`, with scores between -softcap and softcap."""
    scores = softcap * torch.tanh(query @ key.transpose(2, 3) * (scale / softcap))
    mask = _band(query.shape[2], query.shape[2], query.device) if is_causal else attn_mask
    assert mask is not None
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    return nn.functional.dropout(weights, dropout_p) @ value


@cache
def _options_of(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(signature(function).parameters)


def _band(length: int, window: int, device: torch.device) -> torch.Tensor:
    """`(length, length)`: true where a token may attend, to itself and the `window` - 1 tokens before it."""
    allowed = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    return allowed.triu(1 - window)


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
