"""The rendezvous port of a training's processes."""

from __future__ import annotations

import random
import re
import socket
from pathlib import Path

_FIRST = 20_000  # below are the ports of known services
_EPHEMERAL = 32_768  # Linux's default; macOS and Windows begin later
_TRIES = 100
_TAKEN = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)


def rendezvous_port() -> int:
    """A port that nothing on this machine listens on and that the system gives to no outgoing connection."""
    end = _ephemeral_start()
    for port in random.sample(range(_FIRST, end), min(_TRIES, end - _FIRST)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    with socket.socket() as probe:  # all taken: one of the ephemeral range is better than none
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def port_was_taken(log: str) -> bool:
    """Does a training's log say that its port could not be bound?"""
    return _TAKEN.search(log) is not None


def _ephemeral_start() -> int:
    try:
        start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL
    return start if start > _FIRST + _TRIES else _EPHEMERAL
