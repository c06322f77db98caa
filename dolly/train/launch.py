"""Starts the training processes and follows them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dolly.errors import TrainingError

_PR_SET_PDEATHSIG = 1  # prctl(2)
_POLL_SECONDS = 0.5


def launch(spec: Path, *, processes: int, log: Path, progress: Path, follow: Callable[[dict[str, Any]], None]) -> None:
    """Runs `processes` workers on this machine and waits for them.

    Args:
        spec: the spec's file.
        processes: how many.
        log: file for all that the workers print.
        progress: file that rank 0 replaces at each step.
        follow: called with the content of `progress` whenever it has changed.

    Raises:
        TrainingError: they ended with another code than 0.
    """
    progress.unlink(missing_ok=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [*torchrun, "--nproc-per-node", str(processes), "-m", "dolly.train.worker", str(spec)]
    seen = ""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=_environment(processes), preexec_fn=die_with_parent
        )
        try:
            while process.poll() is None:
                time.sleep(_POLL_SECONDS)
                if progress.exists() and (text := progress.read_text()) != seen:
                    seen = text
                    follow(json.loads(text))
        except BaseException:
            process.terminate()
            process.wait(timeout=60)
            raise
    if process.returncode:
        raise TrainingError(
            found=f"the training ended with code {process.returncode}: {_reason(log)}",
            expected="code 0",
            fix=f"read {log}; run the same command again to go on from the last checkpoint",
        )


def die_with_parent() -> None:
    """A killed parent takes its training along: two of them must not write one folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _environment(processes: int) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // processes)
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    # torchrun would set one thread a process; gloo would look the host's name up in the network.
    defaults = {"OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": loopback, "MASTER_ADDR": "127.0.0.1"}
    return defaults | dict(os.environ) | {"PYTHONUNBUFFERED": "1"}


def _reason(log: Path) -> str:
    """The line of the log that tells most: our own one, else the last error."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for mark in ("dolly: ", "Error: ", "Error"):
        if found := [line for line in lines if mark in line and "ChildFailedError" not in line]:
            return found[0 if mark == "dolly: " else -1].split("]: ", 1)[-1][:300]
    return (lines or ["it printed nothing"])[-1][:300]
