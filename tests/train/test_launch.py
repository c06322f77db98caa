"""How workers are started, and started again where their port was taken."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from dolly.errors import TrainingError
from dolly.train import launch
from dolly.train.ports import port_was_taken, rendezvous_port
from dolly.train.spark_launch import on_spark


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are preloaded on Linux only")
@pytest.mark.parametrize(
    ("installed", "own", "expected"),
    [("libtc.so.4", None, "libtc.so.4"), (None, None, None), ("libtc.so.4", "libown.so", "libown.so")],
)
def test_workers_have_the_installed_allocator_or_the_users_own(
    installed: str | None, own: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A worker that says what it was given, instead of torchrun.
    program = tmp_path / "torchrun"
    program.write_text(f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n")
    program.chmod(0o755)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: installed if name == "tcmalloc" else None)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    if own:
        monkeypatch.setenv("LD_PRELOAD", own)
    log = tmp_path / "log.txt"
    job = launch.on_this_machine(1)(tmp_path / "spec.json", log)
    while job.poll() is None:
        pass
    told = [line for line in log.read_text().splitlines() if line.startswith("{")]
    assert json.loads(told[0]).get("LD_PRELOAD") == expected


TAKEN = "DistNetworkError: The server socket has failed to listen: code: -98, name: EADDRINUSE"


class Ended:
    """A job that has printed something and ended with a code."""

    def __init__(self, log: Path, text: str, code: int) -> None:
        with log.open("a") as file:
            file.write(text + "\n")
        self._code = code

    def poll(self) -> int:
        return self._code

    def terminate(self) -> None:
        pass


def launched(folder: Path, *outcomes: tuple[str, int]) -> tuple[int, list[str]]:
    """Launches jobs that end so, one after another; returns how many were started, and what was said."""
    left, said = list(outcomes), list[str]()
    try:
        launch.launch(
            folder / "spec.json",
            start=lambda _, log: Ended(log, *left.pop(0)),
            log=folder / "log.txt",
            progress=folder / "progress.json",
            follow=lambda _: None,
            say=said.append,
        )
    except TrainingError as error:
        said.append(str(error))
    return len(outcomes) - len(left), said


def test_a_port_that_was_taken_is_not_the_end(tmp_path: Path) -> None:
    started, said = launched(tmp_path, (TAKEN, 1), ("done", 0))
    assert started == 2
    assert said == ["another program took the training's rendezvous port; starting again with another port"]


def test_it_is_started_three_times_at_most(tmp_path: Path) -> None:
    started, said = launched(tmp_path, *[(TAKEN, 1)] * 5)
    assert started == 3
    assert "EADDRINUSE" in said[-1]


def test_another_failure_is_not_tried_again(tmp_path: Path) -> None:
    started, said = launched(tmp_path, (TAKEN, 1), ("RuntimeError: out of memory", 1), ("done", 0))
    assert started == 2, "the second failure is of another kind"
    assert "out of memory" in said[-1]


def test_the_workers_own_error_is_told_without_the_advice_to_resume(tmp_path: Path) -> None:
    printed = "[rank0]: dolly: found a model of type x, whose y; expected z; to fix: set model.base\nChildFailedError"
    started, said = launched(tmp_path, (printed, 1))
    assert started == 1
    assert said[-1] == "found a model of type x, whose y; expected z; to fix: set model.base"


def test_a_training_that_has_begun_is_not_started_again(tmp_path: Path) -> None:
    def start(_: Path, log: Path) -> Ended:
        (tmp_path / "progress.json").write_text('{"step": 3}')
        return Ended(log, TAKEN, 1)

    with pytest.raises(TrainingError, match="EADDRINUSE"):
        launch.launch(
            tmp_path / "spec.json",
            start=start,
            log=tmp_path / "log.txt",
            progress=tmp_path / "progress.json",
            follow=lambda _: None,
        )


def test_what_torch_says_of_a_taken_port_is_recognised() -> None:
    from torch.distributed import TCPStore

    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(RuntimeError) as caught:
            TCPStore("127.0.0.1", taken.getsockname()[1], 1, is_master=True, wait_for_workers=False)
    assert port_was_taken(str(caught.value))
    assert not port_was_taken("RuntimeError: out of memory")


def test_a_rendezvous_port_is_free_and_not_of_the_ephemeral_range() -> None:
    ports = {rendezvous_port() for _ in range(20)}
    assert len(ports) > 1, "two trainings at once must not choose the same"
    assert all(20_000 <= port < 32_768 for port in ports)


@pytest.mark.parametrize(("own", "expected"), [([], None), (["--master_port", "4321"], "4321")])
def test_each_start_by_hostfile_has_a_port_of_its_own_or_the_users(
    own: list[str], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = tmp_path / "runner"
    runner.write_text(f"#!{sys.executable}\nimport sys\nprint('arguments', *sys.argv[1:])\n")
    runner.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(runner))
    hosts = tmp_path / "hostfile"
    hosts.write_text("127.0.0.1 slots=1\n")
    start, log = launch.by_hostfile(hosts, own), tmp_path / "log.txt"
    for _ in range(2):
        job = start(tmp_path / "spec.json", log)
        while job.poll() is None:
            pass
    lines = [line.split() for line in log.read_text().splitlines() if line.startswith("arguments")]
    ports = [line[line.index("--master_port") + 1] for line in lines]
    assert all(line.count("--master_port") == 1 for line in lines)
    assert len(ports) == 2
    assert ports == [expected] * 2 if expected else ports[0] != ports[1]


class Distributor:
    """Stands for pyspark's: its first training finds the port taken, as torchrun reports it."""

    starts = 0

    def __init__(self, **_: object) -> None:
        pass

    def run(self, _: object, spec: str, log: str) -> None:
        Distributor.starts += 1
        if Distributor.starts == 1:
            raise RuntimeError("Job aborted: " + "at org.apache.spark " * 200 + TAKEN)
        Path(spec).with_name("result.json").touch()


def test_a_training_on_spark_starts_again_where_its_port_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributor = "pyspark.ml.deepspeed.deepspeed_distributor.DeepspeedTorchDistributor"
    monkeypatch.setattr(distributor, Distributor)
    said: list[str] = []
    launch.launch(
        tmp_path / "spec.json",
        start=on_spark(MagicMock(), 2, gpus=False),
        log=tmp_path / "log.txt",
        progress=tmp_path / "progress.json",
        follow=lambda _: None,
        say=said.append,
    )
    assert Distributor.starts == 2
    assert len(said) == 1
