"""What a SIGTERM, as of a scheduler's cancel, does instead of ending the process."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def at_sigterm(action: Callable[[], None]) -> Iterator[None]:
    """Calls `action` at a SIGTERM; Python delivers signals to the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: action())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def quiet_py4j() -> None:
    """Keeps Py4J from logging tracebacks when a signal interrupts a call to Java; the command reports the signal."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_not_of_py4j)


def _not_of_py4j(record: logging.LogRecord) -> bool:
    return record.msg != "KeyboardInterrupt while sending command."  # Py4J logs it to the root logger
