"""Checkpoints: whole fp32 weights and optimizer states by parameter name, independent of the number of processes
and of the ZeRO stage.

A checkpoint is a folder of safetensors files (no pickle: loading one runs no code), `state.json`, and
`complete.json` with the checksum of each file, which is written last. If `complete.json` is missing or a checksum
differs, the previous checkpoint is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file

from dolly import atomic

_MARKER = "complete.json"
_STATE = "state.json"
SHARD_BYTES = 2 << 30  # a shard is written when it reaches this size
_WEIGHT = "weight"
_MOMENTS = ("exp_avg", "exp_avg_sq")


def save(engine: Any, folder: Path, *, state: dict[str, Any], keep: int) -> None:
    """Saves a checkpoint on rank 0 (all ranks must call), marks it complete, removes old ones.

    The newest `keep` are kept, and the best one: that of step `state["best"]["step"]`.
    """
    target = folder / _name(state["step"])
    first = dist.get_rank() == 0
    if first:
        shutil.rmtree(target, ignore_errors=True)  # what a kill left half written
        target.mkdir(parents=True)
    shard: dict[str, torch.Tensor] = {}
    shards = 0
    for name, parameter in _trained(engine):
        for part in (_WEIGHT, *_MOMENTS):
            value = _whole(engine, parameter, part)  # gathered by all ranks, kept by the first
            if first:
                shard[f"{part}/{name}"] = value.detach().cpu().contiguous().clone()
        if sum(tensor.nbytes for tensor in shard.values()) >= SHARD_BYTES:
            shards = _write(shard, target, shards)
    if first:
        _write(shard, target, shards)
        (target / _STATE).write_text(json.dumps(state))
        _mark(target)
        for old in sorted(folder.glob("step-*"))[:-keep]:
            if old.name != _name(state["best"]["step"]):
                shutil.rmtree(old)
    dist.barrier()


def _name(step: int) -> str:
    return f"step-{step:08d}"


def load_newest(engine: Any, folder: Path) -> dict[str, Any] | None:
    """Restores the newest complete checkpoint; returns its state, None if there is none."""
    newest = [newest_whole(folder) if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(newest, src=0)
    if newest[0] is None:
        return None
    state: dict[str, Any] = json.loads((newest[0] / _STATE).read_text())
    _make_moments(engine, step=state["step"])
    values = _reader(newest[0])
    with torch.no_grad():
        for name, parameter in _trained(engine):
            for part in (_WEIGHT, *_MOMENTS):
                _set_whole(engine, parameter, part, values(f"{part}/{name}"))
    return state


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint whose checksums match; None if there is none."""
    for candidate in sorted(folder.glob("step-*"), reverse=True):
        try:
            expected = json.loads((candidate / _MARKER).read_text())
        except (OSError, ValueError):
            continue
        if expected == _checksums(candidate):
            return candidate
    return None


def _trained(engine: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    for name, parameter in engine.module.model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter


def _whole(engine: Any, parameter: torch.nn.Parameter, part: str) -> torch.Tensor:
    """The fp32 weight or moment of a parameter, gathered from all ranks."""
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    if not _partitioned(parameter):
        return parameter if part == _WEIGHT else engine.optimizer.state[parameter][part]
    gathered: torch.Tensor = (
        safe_get_full_fp32_param(parameter) if part == _WEIGHT else safe_get_full_optimizer_state(parameter, part)
    )
    return gathered


def _set_whole(engine: Any, parameter: torch.nn.Parameter, part: str, value: torch.Tensor) -> None:
    import deepspeed
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    if not _partitioned(parameter):
        (parameter if part == _WEIGHT else engine.optimizer.state[parameter][part]).copy_(value)
    elif part == _WEIGHT:
        safe_set_full_fp32_param(parameter, value.to(parameter.device))
        # The forward pass reads a separate copy, in the model's precision.
        split = hasattr(parameter, "ds_id")
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0) if split else nullcontext():
            parameter.copy_(value)
    else:
        safe_set_full_optimizer_state(parameter, value.to(parameter.device), part)


def _partitioned(parameter: torch.nn.Parameter) -> bool:
    return hasattr(parameter, "ds_id") or hasattr(parameter, "_hp_mapping")


def _make_moments(engine: Any, *, step: int) -> None:
    """Creates Adam's moments, which Adam itself would only create in its first step."""
    outer = engine.optimizer
    inner = getattr(outer, "optimizer", outer)
    if hasattr(outer, "fp32_partitioned_groups_flat"):  # ZeRO-3
        flat = list(outer.fp32_partitioned_groups_flat)
    else:
        flat = [parameter for group in inner.param_groups for parameter in group["params"]]
    for parameter in flat:
        moments = {name: torch.zeros_like(parameter, dtype=torch.float32) for name in _MOMENTS}
        inner.state[parameter] = {"step": torch.tensor(float(step)), **moments}
    if hasattr(outer, "_lazy_init_hp_params_optimizer_state"):
        outer._lazy_init_hp_params_optimizer_state()


def _write(shard: dict[str, torch.Tensor], folder: Path, number: int) -> int:
    """Writes and empties a shard; returns the number of the next."""
    if shard:
        save_file(shard, folder / f"shard-{number:05d}.safetensors")
        shard.clear()
        number += 1
    return number


def _reader(folder: Path) -> Any:
    """A function from a tensor's name to its value."""
    files: list[Any] = [safe_open(file, framework="pt") for file in sorted(folder.glob("*.safetensors"))]
    file_of = {name: file for file in files for name in file.keys()}  # noqa: SIM118 - no dictionary
    return lambda name: file_of[name].get_tensor(name)


def _mark(folder: Path) -> None:
    """Flushes all files to the disk, then writes the marker."""
    sums = _checksums(folder)
    for name in sums:
        atomic.sync(folder / name)
    atomic.write_json(folder / _MARKER, sums)


def _checksums(folder: Path) -> dict[str, str]:
    sums = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and _MARKER not in file.name:
            with file.open("rb") as stream:
                sums[str(file.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
