"""Identifies the process of a run, and decides whether that process has surely ended.

A process id alone is not enough: the system reuses it, and other hosts and containers use the same ids.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19  # field 22 of proc(5)'s stat, counted after the command's name
_HOST_NAMESPACE = "pid:[4026531836]"  # the kernel's PROC_PID_INIT_INO: processes outside all containers


@dataclass(frozen=True)
class Process:
    """One process of one machine.

    `boot` and `namespace` are Linux's boot id and PID namespace, `started` is the process's start in clock ticks
    since boot; all three are empty elsewhere. `machine` stays the same over reboots.
    """

    host: str
    machine: str
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Process:
        boot = _text(_PROC / "sys/kernel/random/boot_id")
        machine = _text(Path("/etc/machine-id")) if boot else f"{uuid.getnode():x}"
        try:
            namespace = os.readlink(_PROC / "self/ns/pid")  # noqa: PTH115 - Path.readlink wants a path
        except OSError:
            namespace = ""
        return cls(socket.gethostname(), machine, boot, namespace, os.getpid(), _start_time(os.getpid()))

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """Parses a run's tag; None if it is not such a tag."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError):
            return None

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    def surely_ended(self, here: Process) -> bool:
        """Whether the process has ended, as seen from the process `here`; False if unknown."""
        if self.boot and self.namespace and (self.boot, self.namespace) == (here.boot, here.namespace):
            return _start_time(self.pid) != self.started
        if not self.machine or (self.host, self.machine) != (here.host, here.machine):
            return False
        if (
            self.boot and here.boot and self.boot != here.boot
        ):  # rebooted since; a container may have the same host name
            return self.namespace == here.namespace == _HOST_NAMESPACE
        return not self.boot and not here.boot and not _exists(self.pid)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    """Start of a process in clock ticks since boot; empty if there is no such process or no /proc."""
    fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return fields[_START_TIME] if len(fields) > _START_TIME else ""


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # there os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
