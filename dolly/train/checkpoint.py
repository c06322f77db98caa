"""Checkpoints: written by DeepSpeed, complete only once our marker with checksums is there.

DeepSpeed loads checkpoints by unpickling: treat them as code, never load a stranger's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch.distributed as dist

_MARKER = "complete.json"
_STATE = "dolly"  # what DeepSpeed hands back also holds keys of its own


def save(engine: Any, folder: Path, *, step: int, state: dict[str, Any], keep: int) -> None:
    """Saves a checkpoint on all ranks, marks it complete, removes all but the newest `keep`."""
    tag = f"step-{step:08d}"
    if dist.get_rank() == 0:
        shutil.rmtree(folder / tag, ignore_errors=True)  # what a kill left half written
    dist.barrier()
    engine.save_checkpoint(
        str(folder), tag=tag, client_state={_STATE: state}, save_latest=False, exclude_frozen_parameters=True
    )
    dist.barrier()
    if dist.get_rank() == 0:
        marker = folder / tag / _MARKER
        staged = marker.with_suffix(".tmp")
        staged.write_text(json.dumps(_checksums(folder / tag), indent=1))
        staged.rename(marker)
        for old in sorted(folder.glob("step-*"))[:-keep]:
            shutil.rmtree(old)
    dist.barrier()


def load_newest(engine: Any, folder: Path) -> dict[str, Any] | None:
    """Restores the newest checkpoint that is whole; returns its state, None where there is none."""
    found = [newest_whole(folder) if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(found, src=0)
    if found[0] is None:
        return None
    _, state = engine.load_checkpoint(
        str(folder), tag=found[0].name, load_module_strict=False, load_lr_scheduler_states=False
    )
    return dict(state[_STATE])


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint whose files have the sizes and checksums that its marker names."""
    for candidate in sorted(folder.glob("step-*"), reverse=True):
        try:
            expected = json.loads((candidate / _MARKER).read_text())
        except (OSError, json.JSONDecodeError):
            continue
        if expected == _checksums(candidate):
            return candidate
    return None


def _checksums(folder: Path) -> dict[str, str]:
    sums = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith("complete."):
            with file.open("rb") as stream:
                sums[str(file.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return sums
