"""Atomic writes: other processes read the old content or the new content, never a part."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Replaces a file's content atomically.

    Args:
        path: the file; its folder exists.
        text: the new content.
        durable: also flush to the disk, so that the write survives a power failure. False for files that are
            replaced many times a second.
    """
    # The name is unique to this thread: concurrent writers must not share a staged file.
    staged = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with staged.open("w", encoding="utf-8") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def write_json(path: Path, content: Any, *, durable: bool = True) -> None:
    """`write_text` of a value as JSON."""
    write_text(path, json.dumps(content, indent=1), durable=durable)


def sync(path: Path) -> None:
    """Flushes a file's content, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(staged: Path, target: Path) -> None:
    """Replaces a folder by a finished one; its files are flushed to the disk before it is renamed."""
    for file in staged.rglob("*"):
        if file.is_file():
            sync(file)
    shutil.rmtree(target, ignore_errors=True)
    staged.rename(target)
    sync(target.parent)
