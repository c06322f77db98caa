"""SHA-256 of files, remembered: a model of some 6 billion parameters takes minutes to read from a network disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dolly import atomic


class Checksums:
    """Hashes of files; one that was computed before is reused while the file's size and times are the same.

    Args:
        cache: JSON file that keeps them; None to compute each time. It may be removed at any time.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache

    def of(self, files: list[Path]) -> list[bytes]:
        """The SHA-256 digests of files, in their order."""
        known = self._read()
        kept = {str(file.resolve()): known.get(str(file.resolve())) for file in files}
        digests = []
        for file in files:
            name, state = str(file.resolve()), _state(file)
            entry = kept[name]
            if entry is None or entry[:-1] != state:
                with file.open("rb") as stream:
                    entry = [*state, hashlib.file_digest(stream, "sha256").hexdigest()]
                kept[name] = entry
            digests.append(bytes.fromhex(str(entry[-1])))
        if self._cache is not None and any(known.get(name) != entry for name, entry in kept.items()):
            # Another process may add its own between the two: that one is computed again.
            atomic.write_json(self._cache, self._read() | kept)
        return digests

    def _read(self) -> dict[str, list[int | str] | None]:
        try:
            content = json.loads(self._cache.read_text()) if self._cache is not None else {}
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _state(file: Path) -> list[int | str]:
    """What changes when a file does; the change time can't be set back by a program that keeps the others."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
