"""A run is closed only if its process has surely ended."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from dolly.tracking.process import Process

HERE = Process.current()
UNUSED_PID = 2**22 + 1  # above Linux's and macOS's largest


def test_this_process_has_not_ended() -> None:
    assert not HERE.surely_ended(HERE)


def test_a_process_that_is_gone_has_ended() -> None:
    assert replace(HERE, pid=UNUSED_PID).surely_ended(HERE)


def test_the_id_of_an_ended_process_may_be_used_again() -> None:
    assert replace(HERE, started=f"1{HERE.started}").surely_ended(HERE)


def test_another_live_process_has_not_ended_until_it_does() -> None:
    code = "from dolly.tracking.process import Process; print(Process.current(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        process = Process.parse(other.stdout.readline())
        assert process is not None
        assert not process.surely_ended(HERE)
        other.communicate("\n")
    assert process.surely_ended(HERE)


@pytest.mark.parametrize(
    "change",
    [{"host": "other", "boot": "b", "machine": "m"}, {"namespace": "pid:[1]"}, {"boot": "b", "machine": ""}],
    ids=["another host", "another container", "another boot of an unknown machine"],
)
def test_what_can_not_be_known_is_left_alone(change: dict[str, str]) -> None:
    assert not replace(HERE, pid=UNUSED_PID, **change).surely_ended(HERE)


def test_a_restart_of_the_machine_ends_its_processes() -> None:
    here = replace(HERE, machine="m", boot="now", namespace="pid:[4026531836]")
    assert replace(here, boot="before").surely_ended(here)
    inside = replace(here, namespace="pid:[1]")
    assert not replace(inside, boot="before").surely_ended(inside)


def test_without_proc_the_id_is_looked_up() -> None:
    mac = Process(host="mac", machine="a1", boot="", namespace="", pid=HERE.pid, started="")
    assert not mac.surely_ended(mac)
    assert replace(mac, pid=UNUSED_PID).surely_ended(mac)
    assert not replace(mac, pid=UNUSED_PID, machine="b2").surely_ended(mac)


@pytest.mark.parametrize("tag", ["", "host:12", "{}", "[1]", '{"pid": 1}'])
def test_tags_of_another_form_are_of_no_process(tag: str) -> None:
    assert Process.parse(tag) is None


def test_a_tag_is_read_back() -> None:
    assert Process.parse(str(HERE)) == HERE
