"""The sandbox's child process: reads a file, converts it, writes the result, until its input ends.

`dolly.ingest.sandbox` starts it as `python -m dolly.ingest.sandbox_worker LIMITS PARENT`. A message either way is
the lengths of its two parts (4 and 8 bytes), a JSON object, and bytes: the file, or the Markdown.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import struct
import sys
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from dolly.ingest.convert import Limits, Refused, convert

LENGTHS = struct.Struct(">IQ")

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LEAK_SHARE = 0.5
_PARSERS = {".pdf": "pdf", ".docx": "office", ".odt": "office", ".html": "html", ".htm": "html"}


def main() -> None:
    """Serves the parent until it closes the pipe or dies."""
    _die_with(int(sys.argv[2]))
    limits = Limits(*json.loads(sys.argv[1]))
    # Libraries may print; what they print must not get between the messages.
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _send(target, {"ready": True}, b"")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    memory = _Memory(limits)
    while len(lengths := source.read(LENGTHS.size)) == LENGTHS.size:
        header_length, body_length = LENGTHS.unpack(lengths)
        name = str(json.loads(source.read(header_length))["name"])
        header, body = _answer(source.read(body_length), name, limits, memory)
        if memory.leaks() or header.get("rule") == "parser_memory":
            _send(target, header | {"last": True}, body)
            return
        _send(target, header, body)


def _answer(content: bytes, name: str, limits: Limits, memory: _Memory) -> tuple[dict[str, Any], bytes]:
    try:
        memory.allow(len(content), name)
        try:
            converted = convert(content, name, limits)
            header = {
                "title": converted.title,
                "kind": converted.kind,
                "pages": converted.pages,
                "notes": converted.notes,
            }
            return header, converted.markdown.encode()
        finally:
            memory.lift()
    except Refused as refused:
        return {"rule": refused.rule, "detail": refused.detail}, b""
    except MemoryError:
        return {"rule": "parser_memory", "detail": "the parser ran out of memory"}, b""


class _Memory:
    """Bounds the process's address space while a file is converted; only Linux keeps to the bound."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_memory_bytes
        self._base = _address_space()
        self._hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def allow(self, size: int, name: str) -> None:
        """Imports the parser of a file of `size` bytes and sets the bound; the parser itself doesn't count."""
        before = _address_space()
        if parser := _PARSERS.get(PurePosixPath(name).suffix.lower()):
            importlib.import_module(f"dolly.ingest.convert.{parser}")
        self._base += _address_space() - before
        if sys.platform == "linux":
            most = self._base + size + self._most
            most = most if self._hard == resource.RLIM_INFINITY else min(most, self._hard)
            resource.setrlimit(resource.RLIMIT_AS, (most, self._hard))

    def lift(self) -> None:
        """Takes the bound away, so that the answer can be sent and the next parser imported."""
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (self._hard, self._hard))

    def leaks(self) -> bool:
        """Has so much memory not been given back that the next file would miss it?"""
        most = self._base + _LEAK_SHARE * self._most
        if _address_space() <= most:
            return False
        gc.collect()
        return _address_space() > most


def _address_space() -> int:
    """Bytes; 0 where the system doesn't say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before
            os._exit(1)


def _send(target: BinaryIO, header: dict[str, Any], body: bytes) -> None:
    encoded = json.dumps(header).encode()
    target.write(LENGTHS.pack(len(encoded), len(body)))
    target.write(encoded)
    target.write(body)
    target.flush()


if __name__ == "__main__":
    main()
