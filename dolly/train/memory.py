"""Predicts the memory of a training without allocating it.

Activations are measured by running a forward and a backward pass on fake tensors, which have shapes and no contents
(`torch._subclasses.FakeTensorMode`). The size of weights, gradients and optimiser states follows from the number of
parameters and the ZeRO stage (Rajbhandari et al. 2020, "ZeRO", section 5).
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from dolly.train.checkpoint import SHARD_BYTES

_FP32 = 4
# Memory that PyTorch's code, threads and scratch take in a CPU process; measured with models of two sizes.
_LIBRARIES = 340 << 20
_FOUR_BITS = 0.516  # bytes: half a byte, and a constant for each 64 that is quantised to 8 bits itself
BUCKET = 50_000_000  # elements that DeepSpeed reduces at a time; its default of 500 million takes 2 GB


@dataclass(frozen=True)
class Parameters:
    """Number and bytes of a model's parameters: of all, of the trained ones, and of the largest."""

    count: int
    bytes: int
    trained: int
    trained_bytes: int
    largest: int
    largest_bytes: int

    @classmethod
    def of(cls, model: Any, *, four_bit: bool = False) -> Parameters:
        """Counts those of a `LanguageModelLoss`, tied ones once; `four_bit`: as QLoRA would hold its linear layers."""
        every = list(model.parameters())
        trained = [p for p in every if p.requires_grad]
        buffers = sum(buffer.nbytes for buffer in model.buffers())
        saved = 0.0
        if four_bit:
            frozen = {p for layer in model.modules() if isinstance(layer, nn.Linear) for p in [layer.weight]}
            frozen -= {*trained, model.model.get_output_embeddings().weight}
            saved = sum(p.nbytes - _FOUR_BITS * p.numel() for p in frozen)
        return cls(
            count=sum(p.numel() for p in every),
            bytes=sum(p.nbytes for p in every) + buffers - int(saved),
            trained=sum(p.numel() for p in trained),
            trained_bytes=sum(p.nbytes for p in trained),
            largest=max(p.numel() for p in every),
            largest_bytes=max(p.nbytes for p in every),
        )


@dataclass(frozen=True)
class Pass:
    """Peaks of a block's passes in bytes, beside the weights.

    first: of a step's first block, when there are no gradients yet; later: of a block that adds to existing gradients;
    logits: the loss's share of both; evaluation: of a forward pass without gradients.
    """

    first: int
    later: int
    logits: int
    evaluation: int


@dataclass(frozen=True)
class Memory:
    """Bytes that one process takes, by part.

    Libraries, weights and optimiser states are permanent. Gradients coexist with a pass's activations or, after it,
    with the optimiser step. An evaluation and the saving of a checkpoint need no gradients.
    """

    libraries: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    stepping: int
    evaluation: int
    saving: int

    @property
    def peak(self) -> int:
        """The permanent parts plus the largest temporary one."""
        training = self.gradients + max(self.activations + self.logits, self.stepping)
        return self.libraries + self.weights + self.optimizer + max(training, self.evaluation, self.saving)


def memory(
    model: Parameters,
    block: Pass,
    *,
    one_block: bool,
    zero_stage: int,
    processes: int,
    offload: bool,
    half: bool,
    on_gpu: bool,
) -> Memory:
    """The parts of one process's memory; with `offload` only those on the GPU.

    Args:
        model: its sizes.
        block: its passes over the largest block.
        one_block: does each step have one block only?
        zero_stage: 0 to 3.
        processes: over which ZeRO partitions.
        offload: are the optimiser states in CPU memory?
        half: are weights bf16?
        on_gpu: does the process train on a GPU? On a CPU, saving a checkpoint uses the same memory.
    """
    parted = [processes if zero_stage >= least else 1 for least in (1, 2, 3)]
    trained = _FP32 * model.trained
    # Adam's two moments, and the fp32 weights that it steps; ZeRO keeps a partition of these even if weights are fp32.
    optimizer = 0 if offload else (3 if zero_stage or half else 2) * trained // parted[0]
    gradients = model.trained_bytes // parted[1]
    weights = model.bytes // parted[2]
    if zero_stage == 3:  # the layers in use are gathered
        weights += 2 * model.largest_bytes
    # The reduction bucket. ZeRO's step makes its partition's gradients one tensor, and an fp32 copy of it.
    reduced = min(BUCKET * model.trained_bytes // max(1, model.trained), model.trained_bytes)
    step = trained // parted[0] if zero_stage else reduced
    if half and zero_stage in (1, 2):
        step += model.trained_bytes // parted[0]
    shard = min(3 * trained, SHARD_BYTES + 3 * _FP32 * model.largest)
    passes = (block.first if one_block else block.later) - model.trained_bytes
    return Memory(
        libraries=0 if on_gpu else _LIBRARIES,
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        activations=max(0, passes - block.logits) + (reduced if zero_stage else 0),
        logits=block.logits,
        evaluation=block.evaluation,
        stepping=step,
        saving=_FP32 * model.largest if on_gpu else shard,
    )


def without_contents(module: nn.Module) -> None:
    """Replaces the tensors of a module on the meta device by fake CPU tensors of the active fake mode."""
    replaced: dict[int, Any] = {}
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, old in store.items():
                if old is None:
                    continue
                if id(old) not in replaced:  # tied weights stay tied
                    new = torch.empty(old.shape, dtype=old.dtype)
                    is_parameter = isinstance(old, nn.Parameter)
                    replaced[id(old)] = nn.Parameter(new, requires_grad=old.requires_grad) if is_parameter else new
                store[name] = replaced[id(old)]


def measure_pass(module: Any, *, lengths: Sequence[int]) -> Pass:
    """Peaks of a forward and backward pass over one block.

    Args:
        module: a `LanguageModelLoss`, built under the fake mode that is active.
        lengths: tokens of the block's examples.
    """
    batch = _block(lengths)
    module.train()
    watch = _Live(module)
    with watch:
        first, logits = _both_ways(module, batch, watch)
        later, _ = _both_ways(module, batch, watch)
    gradients = sum(p.grad.nbytes for p in module.parameters() if p.grad is not None)
    with watch, torch.no_grad():
        start = watch.restart()
        module(**batch)
        evaluation = watch.peak - start
    return Pass(first, later + gradients, logits, evaluation)


def _both_ways(module: Any, batch: dict[str, Any], watch: _Live) -> tuple[int, int]:
    """Peak of a forward and backward pass above the start, and the loss's share of it."""
    marks: dict[str, int] = {}

    def after_body(_: nn.Module, __: Any, output: Any) -> None:
        marks["saved"] = watch.live
        # Called when the loss's backward pass is done and the layers' begins.
        output.last_hidden_state.register_hook(lambda _: marks.update(loss=watch.peak))

    handle = module.model.base_model.register_forward_hook(after_body)
    start = watch.restart()
    module(**batch).backward()
    handle.remove()
    return watch.peak - start, marks["loss"] - marks["saved"]


def _block(lengths: Sequence[int]) -> dict[str, Any]:
    """A block in which all tokens have loss, which needs the most memory."""
    count = sum(lengths)
    ids, loss_positions = torch.zeros(1, count, dtype=torch.long), torch.arange(count)
    positions = torch.cat([torch.arange(length) for length in lengths])
    return {
        "input_ids": ids,
        "position_ids": positions[None],
        "loss_positions": loss_positions,
        "targets": ids[0],
        "lengths": list(lengths),
    }


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of live tensors that were created in this mode, without the weights of `module`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        weights = [*module.parameters(), *module.buffers()]
        self._known = {tensor.untyped_storage()._cdata for tensor in weights}  # operators may return views of them

    def restart(self) -> int:
        """Forgets the peak; returns the bytes that live now."""
        self.peak = self.live
        return self.live

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._add, result)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
