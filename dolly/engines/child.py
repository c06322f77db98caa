"""The process of an engine; `process.Engine` starts it.

python -m dolly.engines.child INPUT OUTPUT, two descriptors of pipes
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from dolly.engines.base import EngineError, Progress, Runner
from dolly.errors import in_one_line


def main() -> None:
    """Serves the runner that the first message describes, until its input ends."""
    # The server ends this process: a Ctrl-C or a SIGTERM to the whole group must not cut its answers short.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    requests, answers = (Connection(int(descriptor)) for descriptor in sys.argv[1:])
    spec = requests.recv()
    try:
        runner = spec.open()
    except Exception as error:
        answers.send(EngineError(in_one_line(error, longest=400)))
        sys.exit(1)
    answers.send((runner.name, runner.context_length))
    inbox = _Inbox(requests)
    while True:
        failed = [progress for message in inbox.take(wait=not runner.busy) for progress in _handle(runner, message)]
        if not runner.busy and not failed:
            continue
        try:
            answers.send(failed + runner.step())
        except OSError:
            sys.exit(0)


class _Inbox:
    """Messages of the server, read by a thread of their own, which ends the process with them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        self._messages: list[Any] = []
        threading.Thread(target=self._read, daemon=True).start()

    def take(self, *, wait: bool) -> list[Any]:
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._messages)
            taken, self._messages = self._messages, []
        return taken

    def _read(self) -> None:
        try:
            while True:
                message = self._connection.recv()
                with self._changed:
                    self._messages.append(message)
                    self._changed.notify()
        except (EOFError, OSError):
            os._exit(0)  # also in the middle of a step


def _handle(runner: Runner, message: Any) -> list[Progress]:
    """Gives a message to the runner; returns the end of a request that it refuses."""
    kind, number, *rest = message
    if kind == "cancel":
        runner.cancel(number)
        return []
    try:
        runner.add(number, *rest)
    except Exception as error:
        return [Progress(number, [], True, in_one_line(error, longest=400))]
    return []


if __name__ == "__main__":
    main()
