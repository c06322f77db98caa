"""Saves a benchmark's figures with the date, the machine and the versions that they were measured with."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dolly.environment import memory_bytes

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("pyspark", "delta-spark", "deltalake", "pyarrow", "numpy")


def save(name: str, figures: Mapping[str, Any], *, packages: Sequence[str] = PACKAGES, folder: Path = FOLDER) -> None:
    """Writes `folder/name.json` and prints the same object as the last line.

    Args:
        name: of the benchmark.
        figures: what was measured; plain numbers, texts, lists and dicts.
        packages: distributions whose versions matter.
        folder: where results lie.
    """
    result = {
        "bench": name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        **figures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def machine() -> dict[str, Any]:
    """Cores, memory in GiB, the processor's name, and how busy the machine is besides (load of the last minute)."""
    cpus = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in cpus.read_text().splitlines() if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "cpu": names[0] if names else platform.processor(),
        "system": platform.platform(terse=True),
        "load": round(os.getloadavg()[0], 1),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
