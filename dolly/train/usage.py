"""Measures the memory of this process."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch

_M_MMAP_THRESHOLD = -3  # mallopt(3)


def forget_peak() -> int:
    """Resets `peak`; returns the bytes in use now (on a GPU: allocated)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return int(torch.cuda.memory_allocated())
    with suppress(OSError):  # Linux only
        Path("/proc/self/clear_refs").write_text("5")
    return _resident("VmRSS")


def peak() -> int:
    """The most bytes in use since `forget_peak`."""
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else _resident("VmHWM")


def _resident(key: str) -> int:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def return_freed_memory() -> None:
    """Makes glibc return the memory of freed tensors at once: what it would cache can double a training's memory.

    tcmalloc, which `environment.allocator` prefers, caches it without taking more.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)
