"""Files of one JSON object a line, to which several servers of one home append."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def append_line(file: Path, line: str, *, durable: bool = False) -> None:
    """Appends a line whole, or nothing of it; returns once it is on the disk if `durable`.

    A line that a crash left without its end is ended first, so that the new one does not join it.

    Raises:
        OSError: it can't be written.
    """
    data = f"{line}\n".encode("utf-8", "backslashreplace")
    opened = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)  # a line that is cut is taken back: nobody may append meanwhile
        size = os.fstat(opened).st_size
        if size and os.pread(opened, 1, size - 1) != b"\n":
            data = b"\n" + data
        if (written := os.write(opened, data)) < len(data):
            os.ftruncate(opened, size)
            raise OSError(None, f"the disk took {written} of {len(data)} bytes")
        if durable:
            os.fsync(opened)
    finally:
        os.close(opened)
