"""What a SIGTERM, as of a scheduler's cancel, does instead of ending the process."""

from __future__ import annotations

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
