"""Starts the training processes and follows them."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from dolly.environment import allocator
from dolly.errors import TrainingError, TrainingStopped, UsageError
from dolly.signals import at_sigterm
from dolly.train.ports import port_was_taken, rendezvous_port

STOP, STOPPED = "stop", "stopped"  # files: the first asks the processes to save and end, the second says they did
_WORKER = "dolly.train.worker"
_PR_SET_PDEATHSIG = 1  # prctl(2)
_POLL_SECONDS = 0.5
_STARTS = 3  # it is rare that a port is taken between choice and use: three times in a row have another cause

# What the worker prints of a `DollyError`.
_OWN_ERROR = re.compile(r"dolly: found (?P<found>.+); expected (?P<expected>.+); to fix: (?P<fix>.+)")


class Job(Protocol):
    """Training processes that run somewhere."""

    def poll(self) -> int | None:
        """The exit code, 0 for success; None while they run."""

    def terminate(self) -> None:
        """Ends them without a checkpoint, and waits until they are gone."""


Starter = Callable[[Path, Path], Job]
"""Starts a job, given the spec's file and the log file for the output of the processes."""


def launch(
    spec: Path,
    *,
    start: Starter,
    log: Path,
    progress: Path,
    follow: Callable[[dict[str, Any]], None],
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Starts a training and waits for its end.

    Another program can take the rendezvous port between its choice and its use: the processes are then restarted
    with another port, unless they have already trained a step.

    Args:
        spec: the spec's file.
        start: starts the processes: `on_this_machine`, `by_hostfile` or `spark_launch.on_spark`.
        log: file for their output.
        progress: file that rank 0 replaces at each step.
        follow: called with the content of `progress` whenever it has changed.
        say: prints a line.

    Raises:
        TrainingError: they failed.
        TrainingStopped: after a SIGTERM they have saved a checkpoint.
    """
    folder = spec.parent
    for old in (progress, folder / STOP, folder / STOPPED):
        old.unlink(missing_ok=True)
    log.write_bytes(b"")
    with at_sigterm((folder / STOP).touch):
        for starts_left in reversed(range(_STARTS)):
            begin = log.stat().st_size
            code = _run(start, spec, log, progress=progress, follow=follow)
            _require_not_stopped(folder, code)
            if code == 0:
                return
            printed = log.read_bytes()[begin:].decode(errors="replace")
            if not (starts_left and port_was_taken(printed) and not progress.exists()):
                if own := _OWN_ERROR.search(printed):
                    raise TrainingError(**own.groupdict())
                raise TrainingError(
                    found=f"the training ended with code {code}: {_reason(printed)}",
                    expected="code 0",
                    fix=f"read {log}; run the same command again to resume from the last checkpoint",
                )
            say("another program took the training's rendezvous port; starting again with another port")


def _require_not_stopped(folder: Path, code: int | None) -> None:
    """Raises TrainingStopped if a SIGTERM ended the processes; a training that it came too late for has its model."""
    if (folder / STOPPED).exists():
        found = f"a SIGTERM in step {(folder / STOPPED).read_text()}, whose checkpoint is saved"
        resumed = "there"
    elif code != 0 and (folder / STOP).exists():
        found, resumed = "a SIGTERM while no step ran", "the last checkpoint"
    else:
        return
    raise TrainingStopped(
        found=found, expected="the training's end", fix=f"run the same command again: it resumes from {resumed}"
    )


def _run(
    start: Starter, spec: Path, log: Path, *, progress: Path, follow: Callable[[dict[str, Any]], None]
) -> int | None:
    """Starts the processes once and follows them to their end; returns their exit code."""
    seen = ""
    job = start(spec, log)
    try:
        while job.poll() is None:
            time.sleep(_POLL_SECONDS)
            if progress.exists() and (text := progress.read_text()) != seen:
                seen = text
                follow(json.loads(text))
    except BaseException:
        job.terminate()
        raise
    return job.poll()


def on_this_machine(processes: int) -> Starter:
    """Workers on this machine, started by torchrun; in its standalone mode the system chooses the port."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = [*torchrun, "--nproc-per-node", str(processes), "-m", _WORKER]
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    # By default torchrun sets one thread per process, and gloo looks up the host name in the network.
    threads = max(1, (os.cpu_count() or 1) // processes)
    defaults = {"OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": loopback, "MASTER_ADDR": "127.0.0.1"}
    defaults |= allocator()
    return lambda spec, log: _Processes([*command, str(spec)], log, environment=defaults)


def by_hostfile(hostfile: Path, arguments: Sequence[str] = ()) -> Starter:
    """Workers on the machines of a DeepSpeed hostfile (lines of `NAME slots=N`), reached by ssh.

    Args:
        hostfile: its path.
        arguments: further options of DeepSpeed's launcher, such as `--master_addr`, `--ssh_port` or `--launcher`.
            Without `--master_port` each start chooses a free port.

    Raises:
        UsageError: no such file.
    """
    if not hostfile.is_file():
        raise UsageError(
            found=f"no file {hostfile}",
            expected="a DeepSpeed hostfile: lines of NAME slots=N",
            fix="set train.launch.hostfile",
        )
    runner = [sys.executable, "-m", "deepspeed.launcher.runner", "--hostfile", str(hostfile), *arguments]
    chosen = any(argument.split("=")[0] in ("--master_port", "--master-port") for argument in arguments)

    def start(spec: Path, log: Path) -> Job:
        # The launcher's default is one port for all trainings of a machine.
        port = [] if chosen else ["--master_port", str(rendezvous_port())]
        return _Processes([*runner, *port, "--no_local_rank", "--module", _WORKER, str(spec)], log)

    return start


class _Processes:
    """A launcher on this machine that ends when its workers do."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        values = (environment or {}) | dict(os.environ) | {"PYTHONUNBUFFERED": "1"}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=values, preexec_fn=die_with_parent
            )

    def poll(self) -> int | None:
        return self._process.poll()

    def terminate(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=60)


def die_with_parent() -> None:
    """Ends this process when its parent is killed: two trainings must not write to one folder."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _reason(printed: str) -> str:
    """The most informative line of a log: the last error."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    for mark in ("Error: ", "Error"):
        if marked := [line for line in lines if mark in line and "ChildFailedError" not in line]:
            return marked[-1].split("]: ", 1)[-1][:300]
    return (lines or ["it printed nothing"])[-1][:300]
