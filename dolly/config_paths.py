"""Makes the relative paths of a config absolute.

Paths in a config file are relative to the project: the folder that contains `conf/`, or the file's own folder if it is
not in a `conf/`. A scheduler may therefore start a job in any directory. Paths in a key=value argument are relative to
the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dolly.config import Config
from dolly.tables.store import NAMES

_WRITTEN = (("home",), *(("state", key) for key in ("tables", "tracking", "registry", "artifacts", "checkpoints")))
_READ = (
    ("sources", "*", "path"),
    ("clean", "privacy", "names_file"),
    ("clean", "privacy", "key_file"),
    ("clean", "benchmarks", "*", "path"),
    ("train", "launch", "hostfile"),
    ("serve", "tls_certificate"),
    ("serve", "tls_key"),
    ("serve", "filters", "*", "words_file"),
    ("model", "base"),
)
_NO_FILES = ("hub", "jdbc")  # formats with a path that is no file


def project_of(config: Path) -> Path:
    """The folder that a config's paths are relative to."""
    folder = Path(os.path.abspath(config)).parent  # noqa: PTH100 - a symlink to a config is not followed
    inside = next((parent for parent in (folder, *folder.parents) if parent.name == "conf"), None)
    return inside.parent if inside else folder


def rebase(raw: dict[str, Any], project: Path) -> None:
    """Makes the relative paths of a config absolute, in place; values of a wrong type are left to validation."""
    raw.setdefault("home", Config.model_fields["home"].default)
    for keys in (*_WRITTEN, *_READ):
        for holder, key in _holders(raw, keys):
            value = holder[key]
            if isinstance(value, str) and _is_path(keys, value) and holder.get("format") not in _NO_FILES:
                path = _absolute(value, project)
                if keys != ("model", "base") or Path(path).exists():  # else the name of an installed model
                    holder[key] = path


def from_shell(key: str, value: Any) -> Any:
    """The value of an override; a path relative to the working directory becomes absolute."""
    parts = tuple("*" if part.isdigit() else part for part in key.split("."))
    if not isinstance(value, str) or parts not in (*_WRITTEN, *_READ) or not _is_path(parts, value):
        return value
    path = _absolute(value, Path.cwd())
    return path if parts in _WRITTEN or Path(path).exists() else value


def _is_path(keys: tuple[str, ...], value: str) -> bool:
    named = keys == ("state", "tables") and NAMES.fullmatch(value) is not None
    named = named or (keys[0] == "state" and value.startswith("databricks"))
    return bool(value) and "://" not in value and not named


def _absolute(value: str, base: Path) -> str:
    # Not resolved: symlinks in the config keep their names.
    return os.path.normpath(base / Path(value).expanduser())


def _holders(node: Any, keys: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """The mappings that hold a key, with its last part; `*` stands for each item of a list."""
    first, rest = keys[0], keys[1:]
    if first == "*":
        for item in node if isinstance(node, list) else ():
            yield from _holders(item, rest)
    elif isinstance(node, dict) and first in node:
        if rest:
            yield from _holders(node[first], rest)
        else:
            yield node, first
