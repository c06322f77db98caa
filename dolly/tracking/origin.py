"""The origin of a run: code revision, user, command and packages."""

from __future__ import annotations

import getpass
import importlib.metadata
import subprocess
import sys
from pathlib import Path

_PACKAGES = ("torch", "transformers", "deepspeed", "peft", "pyspark", "delta-spark", "deltalake", "mlflow")


def origin_tags() -> dict[str, str]:
    """Tags with the user, the command and the code revision."""
    tags = {"mlflow.source.name": Path(sys.argv[0]).name or "python", "mlflow.source.type": "LOCAL"}
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        tags["mlflow.user"] = "unknown"
    code = Path(__file__).parents[1]
    try:
        sha = _git(code, "rev-parse", "HEAD")
        changed = " with uncommitted changes" if _git(code, "status", "--porcelain", "--", ".") else ""
    except (OSError, subprocess.CalledProcessError):
        return tags | {"mlflow.source.git.commit": "not a git checkout"}
    return tags | {"mlflow.source.git.commit": sha, "dolly.code": sha[:12] + changed}


def package_list() -> str:
    """The versions of Python and of the main packages, one per line."""
    lines = [f"python=={sys.version.split()[0]}"]
    for name in _PACKAGES:
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return "\n".join(lines) + "\n"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
