"""Cached SHA-256 of files: to read a model of 6 billion parameters from a network disk takes minutes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dolly import atomic


class Checksums:
    """Computes hashes of files; a cached hash is used while the file's size and times are unchanged.

    Args:
        cache: JSON file with the hashes, which may be removed at any time; None for no cache.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache

    def of(self, files: list[Path]) -> list[bytes]:
        """The SHA-256 digests of `files`, in their order."""
        cached = self._read()
        entries = {str(file.resolve()): cached.get(str(file.resolve())) for file in files}
        digests = []
        for file in files:
            name, state = str(file.resolve()), _state(file)
            entry = entries[name]
            if entry is None or entry[:-1] != state:
                with file.open("rb") as stream:
                    entry = [*state, hashlib.file_digest(stream, "sha256").hexdigest()]
                entries[name] = entry
            digests.append(bytes.fromhex(str(entry[-1])))
        if self._cache is not None and any(cached.get(name) != entry for name, entry in entries.items()):
            # An entry that another process writes in between is lost and computed again.
            atomic.write_json(self._cache, self._read() | entries)
        return digests

    def _read(self) -> dict[str, list[int | str] | None]:
        try:
            content = json.loads(self._cache.read_text()) if self._cache is not None else {}
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _state(file: Path) -> list[int | str]:
    """Size and times of a file; programs can preserve the size and mtime of a changed file, but not its ctime."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
