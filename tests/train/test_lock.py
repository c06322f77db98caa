"""Two processes that train the same: the second waits, and says so."""

from __future__ import annotations

import threading
from pathlib import Path

from dolly.train.lock import locked


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    lines: list[str] = []
    order: list[str] = []
    waiting = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        waiting.set()

    def second() -> None:
        with locked(folder, say):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(folder, lines.append):
        thread.start()
        assert waiting.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    assert len(lines) == 1
    assert "waiting for process" in lines[0]
    assert str(folder) in lines[0]


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        with locked(tmp_path, lines.append):
            pass
    assert lines == []
