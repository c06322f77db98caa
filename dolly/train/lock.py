"""Lets one process at a time work in a training's folder, also when machines share the folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dolly import atomic


@contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Holds a folder's lock while the block runs; the system frees it when the process ends for any reason.

    Args:
        folder: created if missing.
        say: prints a line if another process has the lock and this one waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / ".lock"), folder / ".lock-holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for {_read(holder)}, which works in {folder}")
        lock.acquire()
    try:
        atomic.write_text(holder, f"process {os.getpid()} on {os.uname().nodename}", durable=False)
        yield
    finally:
        lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text()
    except OSError:
        return "another process"
