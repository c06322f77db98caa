"""An engine: a runner in a process of its own.

OpenVINO holds Python's global lock while it computes a step, which can take seconds: in the server's process no other
request would be answered meanwhile, not even `/health`. A process of its own also ends alone: if it is killed or out of
memory, its requests fail with an `EngineError` and the next one starts a new process.
"""

from __future__ import annotations

import asyncio
import os
import queue
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from typing import Any

from dolly.engines.base import EngineError, Progress, RunnerSpec, Sampling, Token
from dolly.errors import ModelError

# What a request gets: new tokens, then None, or the error that ended it.
Event = list[Token] | EngineError | None
_END_SECONDS = 10
_LONGEST_PAUSE = 60  # between two attempts to start the process, in seconds


class Engine:
    """Runs requests together, in a process of its own.

    Args:
        spec: the runner.

    Attributes:
        name: the engine, its version and its precision, for cards and logs.
        context_length: maximum number of tokens of prompt and answer.

    Raises:
        ModelError: the runner can't load its model.
    """

    def __init__(self, spec: RunnerSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._requests: dict[int, Callable[[Event], None]] = {}
        self._count = 0
        self._ready = False
        self._closed = threading.Event()
        self._start()
        threading.Thread(target=self._supervise, name="engine", daemon=True).start()

    def submit(self, ids: Sequence[int], sampling: Sampling, emit: Callable[[Event], None]) -> Callable[[], None]:
        """Queues a request.

        Args:
            ids: tokens of the prompt; with `sampling.max_tokens` at most `context_length`.
            sampling: how tokens are chosen.
            emit: called from another thread with lists of tokens, then with None or an `EngineError`.

        Returns:
            A function that cancels the request; nothing is emitted after it.

        Raises:
            ValueError: the prompt is empty, or too long for `max_tokens`.
            EngineError: the engine is closed, or has ended and is not back yet.
        """
        if not ids or sampling.max_tokens < 1 or len(ids) + sampling.max_tokens > self.context_length:
            raise ValueError(f"{len(ids)} + {sampling.max_tokens} tokens for a context of {self.context_length}")
        with self._lock:
            if not self._ready:
                raise EngineError("the engine is closed" if self._closed.is_set() else "the engine starts again")
            self._count += 1
            number = self._count
            self._requests[number] = emit
            self._outbox.put(("add", number, list(ids), sampling))
        return lambda: self._cancel(number)

    async def tokens(self, ids: Sequence[int], sampling: Sampling) -> AsyncGenerator[list[Token]]:
        """Yields an answer's tokens, some at a time; closing the generator cancels the request.

        Raises:
            EngineError: the engine failed.
        """
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def emit(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        cancel = self.submit(ids, sampling, emit)
        try:
            while (event := await events.get()) is not None:
                if isinstance(event, EngineError):
                    raise event
                yield event
        finally:
            cancel()

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Token]]:
        """The answers to prompts, generated together, in their order; for callers without an event loop.

        Prompts that leave less room than `sampling.max_tokens` get shorter answers.

        Raises:
            EngineError: the engine failed.
        """
        answers: list[queue.SimpleQueue[Event]] = [queue.SimpleQueue() for _ in prompts]
        for ids, answer in zip(prompts, answers, strict=True):
            room = min(sampling.max_tokens, self.context_length - len(ids))
            self.submit(ids, replace(sampling, max_tokens=room), answer.put)
        return [_collected(answer) for answer in answers]

    def close(self) -> None:
        """Ends the process; requests that run get an EngineError."""
        self._closed.set()
        self._outbox.put(None)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # in a step that long
            self._process.kill()
            self._process.wait()

    @property
    def ready(self) -> bool:
        """Does its process run?"""
        return self._ready

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _start(self) -> None:
        its_input, ours = Pipe(duplex=False)
        answers, its_output = Pipe(duplex=False)
        descriptors = (its_input.fileno(), its_output.fileno())
        command = [sys.executable, "-m", "dolly.engines.child", *map(str, descriptors)]
        # Threads of OpenMP that wait for work without a pause would take the cores from other jobs (transformers only).
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        self._process = subprocess.Popen(command, pass_fds=descriptors, env=environment, stdin=subprocess.DEVNULL)
        its_input.close()
        its_output.close()
        ours.send(self._spec)
        try:
            started = answers.recv()
        except EOFError:
            started = EngineError(f"its process ended with code {self._process.wait()}")
        if isinstance(started, EngineError):
            self._process.wait()
            raise ModelError(
                found=f"an engine that can't load its model ({started})",
                expected="a model that fits into memory",
                fix="set serve.engine to transformers, or serve.cache_gib to less",
            )
        self.name, self.context_length = started
        with self._lock:
            self._answers, self._ready = answers, True
            self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_write, args=(ours, self._outbox), name="engine input", daemon=True).start()

    def _supervise(self) -> None:
        """The thread: gives each request what the process has made, and starts a new process if it ends."""
        while True:
            try:
                while True:
                    for progress in self._answers.recv():
                        self._deliver(progress)
            except (EOFError, OSError):
                pass
            with self._lock:
                self._ready = False
                requests, self._requests = self._requests, {}
            self._outbox.put(None)
            code = self._process.wait()
            closed = self._closed.is_set()
            error = EngineError("the engine is closed" if closed else f"the engine's process ended with code {code}")
            for emit in requests.values():
                _emit(emit, error)
            if closed or not self._started_again():
                return

    def _started_again(self) -> bool:
        """Starts a new process; tries until the engine is closed, as memory may be short for a while."""
        pause = 1.0
        while not self._closed.is_set():
            try:
                self._start()
                return True
            except ModelError:
                self._closed.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        return False

    def _deliver(self, progress: Progress) -> None:
        emit = self._requests.get(progress.number)
        if emit is None:
            return
        if progress.tokens and not _emit(emit, progress.tokens):
            self._cancel(progress.number)
        elif progress.ended:
            self._requests.pop(progress.number, None)
            _emit(emit, EngineError(progress.error) if progress.error else None)

    def _cancel(self, number: int) -> None:
        with self._lock:
            if self._requests.pop(number, None) is not None:
                self._outbox.put(("cancel", number))


def _write(connection: Connection, outbox: queue.SimpleQueue[Any]) -> None:
    """The thread that sends: a process in a long step reads nothing, and the sender would wait."""
    try:
        while (message := outbox.get()) is not None:
            connection.send(message)
    except OSError:
        return  # the process has ended
    connection.close()


def _emit(emit: Callable[[Event], None], event: Event) -> bool:
    """Gives an event to a request; returns False if the request's event loop has ended."""
    try:
        emit(event)
    except RuntimeError:
        return False
    return True


def _collected(answer: queue.SimpleQueue[Event]) -> list[Token]:
    tokens: list[Token] = []
    while (event := answer.get()) is not None:
        if isinstance(event, EngineError):
            raise event
        tokens += event
    return tokens
