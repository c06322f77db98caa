"""Traces a causal LM of transformers and makes its key-value cache a state of OpenVINO's model.

OpenVINO GenAI expects the inputs `input_ids`, `attention_mask`, `position_ids` and `beam_idx`, the output `logits`, and
scaled dot product attention on keys and values that are a state joined with the new ones.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from transformers import Cache

from dolly.engines.openvino import cache_shape

# Sizes of the traced example: all differ, so that no axis is taken for another.
_BATCH, _PAST, _NEW = 2, 4, 3


class _Past(Cache):  # type: ignore[misc]
    """A cache whose keys and values are given, and which collects the joined ones."""

    def __init__(self, given: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        super().__init__(layers=[])
        self.given = given
        self.joined: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        key, value = self.given[layer_idx]
        self.joined[layer_idx] = torch.cat([key, key_states], dim=-2), torch.cat([value, value_states], dim=-2)
        return self.joined[layer_idx]

    def get_seq_length(self, layer_idx: int = 0) -> Any:
        return self.given[layer_idx][0].shape[-2]


class _Step(nn.Module):
    """A model as a function of tensors: ids, mask, positions and the cache → logits and the new cache."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, position_ids: torch.Tensor, *cache: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        past = _Past(list(zip(cache[::2], cache[1::2], strict=True)))
        new, before = input_ids.shape[1], cache[0].shape[-2]
        rows = torch.arange(new).unsqueeze(1) + before
        seen = (torch.arange(new + before).unsqueeze(0) <= rows)[None, None]
        seen = seen & attention_mask[:, None, None, :].bool()
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)
        output = self.model(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=position_ids,
            past_key_values=past,
            use_cache=True,
        )
        return (output.logits, *(tensor for layer in sorted(past.joined) for tensor in past.joined[layer]))


def traced(model: Any) -> Any:
    """OpenVINO's model of a causal LM; its weights are converted to fp32 and its attention is replaced, in place."""
    import openvino

    model = model.float().eval().requires_grad_(False)
    _use_plain_attention(model)
    layers, heads, size = cache_shape(model.config)
    example = (
        torch.ones(_BATCH, _NEW, dtype=torch.long),
        torch.ones(_BATCH, _PAST + _NEW, dtype=torch.long),
        torch.arange(_PAST, _PAST + _NEW)[None].repeat(_BATCH, 1),
        *(torch.randn(_BATCH, heads, _PAST, size) for _ in range(2 * layers)),
    )
    with torch.no_grad(), warnings.catch_warnings():
        # transformers' shortcuts by shape, which the sizes of the example keep out.
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python")
        converted = openvino.convert_model(_Step(model), example_input=example)
    _name(converted, layers=layers, heads=heads, size=size)
    _make_stateful(converted, layers=layers, heads=heads, size=size)
    return converted


def _use_plain_attention(model: Any) -> None:
    """Attention as one operation, which is what OpenVINO replaces by one on a paged cache."""
    if model.config.model_type == "gptj":
        for module in model.modules():
            if type(module).__name__ == "GPTJAttention":
                module._attn = _gptj_attention
        return
    model.config._attn_implementation = "sdpa"


def _gptj_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, None]:
    return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask), None


def _cache_names(prefix: str, layers: int) -> list[str]:
    return [f"{prefix}.{layer}.{kind}" for layer in range(layers) for kind in ("key", "value")]


def _name(model: Any, *, layers: int, heads: int, size: int) -> None:
    """Gives inputs and outputs the names and shapes that OpenVINO GenAI expects."""
    import openvino

    inputs = ["input_ids", "attention_mask", "position_ids", *_cache_names("past_key_values", layers)]
    for number, (port, name) in enumerate(zip(model.inputs, inputs, strict=True)):
        port.get_tensor().set_names({name})
        parameter = port.get_node()
        parameter.set_friendly_name(name)
        if number < 3:
            parameter.set_element_type(openvino.Type.i64)
        parameter.set_partial_shape(openvino.PartialShape([-1, -1] if number < 3 else [-1, heads, -1, size]))
    outputs = ["logits", *_cache_names("present", layers)]
    for port, name in zip(model.outputs, outputs, strict=True):
        port.get_tensor().set_names({name})
    model.validate_nodes_and_infer_types()


def _make_stateful(model: Any, *, layers: int, heads: int, size: int) -> None:
    """Makes the cache a state: empty at first, reordered by `beam_idx`, then joined with the new keys and values."""
    import numpy as np
    from openvino import opset13 as op
    from openvino._offline_transformations import apply_make_stateful_transformation

    past, present = _cache_names("past_key_values", layers), _cache_names("present", layers)
    beam = op.parameter([-1], dtype=np.int32, name="beam_idx")
    beam.output(0).get_tensor().set_names({"beam_idx"})
    model.add_parameters([beam])
    for name in past:
        parameter = model.input(name).get_node()
        readers = list(parameter.output(0).get_target_inputs())
        reordered = op.gather(parameter, beam, op.constant(0))
        for reader in readers:
            reader.replace_source_output(reordered.output(0))
    model.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(model, dict(zip(past, present, strict=True)))
    shape_of_ids = op.shape_of(model.input("input_ids"), output_type="i64")
    batch = op.gather(shape_of_ids, op.constant([0], dtype=np.int64), op.constant(0, dtype=np.int64))
    heads_, none, size_ = (op.constant([number], dtype=np.int64) for number in (heads, 0, size))
    empty = op.broadcast(op.constant(0.0, dtype=np.float32), op.concat([batch, heads_, none, size_], 0))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            node.set_arguments([empty.output(0)])
    model.validate_nodes_and_infer_types()
