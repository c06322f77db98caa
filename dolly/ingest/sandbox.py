"""Converts documents in a child process that may crash, hang or run out of memory without harm to the job.

What the child says is not trusted either: its messages are JSON and text of bounded length, checked field by field.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import IO, Any, Self

from dolly.errors import EnvironmentFault
from dolly.ingest.convert import RULES, Converted, Limits, Refused
from dolly.ingest.sandbox_worker import LENGTHS

_START_SECONDS = 120.0
_DEATH_SECONDS = 2.0
_LONGEST_HEADER = 1 << 20
_BYTES_PER_CHARACTER = 4  # UTF-8
_CHUNK = 1 << 20
# The child needs no more of the environment; least of all its secrets.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")


class Sandbox:
    """One child process, started with the first file and again after a death or a timeout.

    Not for use by several threads at once.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def convert(self, content: bytes, name: str) -> Converted | Refused:
        """Converts one file; any fault of the file or its parser is a `Refused`.

        Args:
            content: the whole file.
            name: its name, for the suffix.

        Raises:
            EnvironmentFault: the child process can't be started.
        """
        if len(content) > self._limits.max_bytes:
            return Refused("file_too_large", f"{len(content)} bytes; at most {self._limits.max_bytes} are read")
        process = self._started()
        deadline = time.monotonic() + self._limits.max_seconds
        try:
            _send(process, {"name": name}, content, deadline)
            header, body = _receive(process, deadline, _BYTES_PER_CHARACTER * self._limits.max_characters)
            answer = _answer(header, body)
        except TimeoutError:
            self._stop()
            return Refused("parser_timeout", f"not done after {self._limits.max_seconds:g} seconds")
        except (EOFError, OSError):
            return Refused("parser_died", _cause(self._stop(grace=_DEATH_SECONDS)))
        except (ValueError, KeyError, TypeError):
            self._stop()
            return Refused("parser_died", "the parser's answer makes no sense")
        except BaseException:
            self._stop()
            raise
        if header.get("last"):
            self._stop(grace=_DEATH_SECONDS)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONUTF8": "1"}
        limits = json.dumps(self._limits)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dolly.ingest.sandbox_worker", limits, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        self._process = process
        for stream in (process.stdin, process.stdout):
            os.set_blocking(_descriptor(stream), False)
        try:
            _receive(process, time.monotonic() + _START_SECONDS, 0)
        except (EOFError, OSError, ValueError):
            process.kill()
            printed = process.stderr.read().decode(errors="replace").split("\n") if process.stderr else []
            self._stop()
            reason = next((line for line in reversed(printed) if line.strip()), "it printed nothing")
            raise EnvironmentFault(
                found=f"the parser's process didn't start: {reason[:300]}",
                expected="a Python that can import dolly.ingest.sandbox_worker",
                fix="install dolly with its extra for documents on every machine that reads them",
            ) from None
        return process

    def _stop(self, *, grace: float = 0.0) -> int:
        """Ends the child, if it has not exited after `grace` seconds; returns its exit code, 0 if there was none."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            code = process.wait(timeout=grace)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return code


def _send(process: subprocess.Popen[bytes], header: dict[str, str], body: bytes, deadline: float) -> None:
    encoded = json.dumps(header).encode()
    target = _descriptor(process.stdin)
    for part in (LENGTHS.pack(len(encoded), len(body)) + encoded, body):
        left = memoryview(part)
        while left:
            _wait(target, selectors.EVENT_WRITE, deadline)
            left = left[os.write(target, left[:_CHUNK]) :]


def _receive(process: subprocess.Popen[bytes], deadline: float, longest: int) -> tuple[dict[str, Any], bytes]:
    header_length, body_length = LENGTHS.unpack(_read(process, LENGTHS.size, deadline))
    if header_length > _LONGEST_HEADER or body_length > longest:
        raise ValueError(f"a message of {header_length} and {body_length} bytes")
    header = json.loads(_read(process, header_length, deadline))
    if not isinstance(header, dict):
        raise TypeError("the header is no object")
    return header, _read(process, body_length, deadline)


def _read(process: subprocess.Popen[bytes], length: int, deadline: float) -> bytes:
    source, parts = _descriptor(process.stdout), []
    while length:
        _wait(source, selectors.EVENT_READ, deadline)
        part = os.read(source, min(length, _CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _descriptor(stream: IO[bytes] | None) -> int:
    assert stream is not None
    return stream.fileno()


def _wait(descriptor: int, event: int, deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, event)
        if not selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError


def _answer(header: dict[str, Any], body: bytes) -> Converted | Refused:
    """The message as a value, each field of its type.

    Raises:
        KeyError, TypeError, ValueError: it isn't one.
    """
    if "rule" in header:
        rule, detail = header["rule"], header["detail"]
        if rule not in RULES or not isinstance(detail, str):
            raise ValueError("no known rule")
        return Refused(rule, detail)
    title, kind, pages, notes = (header[name] for name in ("title", "kind", "pages", "notes"))
    texts = [title, kind, *notes]
    if not all(isinstance(text, str) for text in texts) or not (pages is None or isinstance(pages, int)):
        raise TypeError("a field is of another type")
    for text in texts:
        text.encode()  # no lone surrogates
    return Converted(body.decode(), title, kind, pages, tuple(notes))


def _cause(code: int) -> str:
    if code >= 0:
        return f"it ended with code {code}"
    if -code == signal.SIGABRT:
        return "it was ended by SIGABRT, as when pdfium gets no more memory"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
