"""A server that a test starts on 127.0.0.1: on a free port, in a process group of its own, ended in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from dolly.train.launch import die_with_parent
from tests.support import free_port

_ATTEMPTS = 5
_PORT_TAKEN = (
    "address already in use",
    "Address already in use",
    "could not create any TCP/IP sockets",
    "BindException",
)


class Server:
    """A program that listens on a port.

    Args:
        command: from the port to the program's command line.
        ready: does the server on this port answer?
        log: file for what the program prints.
        environment: variables beside those of the tests.
        user: who runs it; the tests' own user if None.
        seconds: how long it may take to answer.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        *,
        ready: Callable[[int], bool],
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        seconds: float = 120,
    ) -> None:
        self._command, self._ready, self._seconds = command, ready, seconds
        self._environment = os.environ | dict(environment or {})
        self._user = {"user": user, "group": user, "extra_groups": []} if user else {}
        self.log, self.port = log, 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, which leads its process group."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Starts it: on the port that it had before, else on a free one, which another program may take first."""
        ports = [self.port] if self.port else (free_port() for _ in range(_ATTEMPTS))
        for port in ports:
            self.port = port
            if self._answers():
                return
            self.kill()
            if not any(words in self._printed() for words in _PORT_TAKEN):
                break
        raise AssertionError(f"no answer on port {self.port}: {self._printed()[-3000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 20) -> None:
        """Asks its process group to end, and ends it by force if it does not."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Ends its whole process group at once (SIGKILL)."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                list(self._command(self.port)),
                cwd="/",
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
                **self._user,
            )
        deadline = time.monotonic() + self._seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._ready(self.port):
                return True
            time.sleep(0.1)
        return False

    def _printed(self) -> str:
        return self.log.read_text(errors="replace")


@contextmanager
def running(server: Server, *, ending: signal.Signals = signal.SIGTERM) -> Iterator[Server]:
    """Starts a server and ends it, whatever happens between."""
    try:
        server.start()
        yield server
    finally:
        server.stop(ending)


def answers_http(path: str) -> Callable[[int], bool]:
    """From a port to: does a server there answer this path with a status below 400?"""

    def ready(port: int) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).status_code < 400
        except httpx.HTTPError:
            return False

    return ready
