"""Files that are replaced in one step, and hashes that are remembered."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from dolly import atomic
from dolly.checksums import Checksums


def test_a_reader_never_sees_a_part_of_a_file_with_two_writers(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    contents = [{"a": "x" * 50_000}, {"b": "y" * 90_000}]
    atomic.write_json(path, contents[0])
    done = threading.Event()

    def write(content: dict[str, str]) -> None:
        while not done.is_set():
            atomic.write_json(path, content, durable=False)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    seen = [json.loads(path.read_text()) for _ in range(200)]
    done.set()
    for writer in writers:
        writer.join()
    assert all(content in contents for content in seen)
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    atomic.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_replaces_an_older_one(tmp_path: Path) -> None:
    staged, target = tmp_path / "new", tmp_path / "final"
    for folder, name in ((staged, "a"), (target, "b")):
        folder.mkdir()
        (folder / name).touch()
    atomic.replace_folder(staged, target)
    assert [file.name for file in target.iterdir()] == ["a"]
    assert not staged.exists()


def test_a_file_is_hashed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    file, cache = tmp_path / "weights.bin", tmp_path / "checksums.json"
    file.write_bytes(b"weights")
    first = Checksums(cache).of([file])
    stored = json.loads(cache.read_text())
    stored[str(file)][-1] = "00" * 32
    cache.write_text(json.dumps(stored))
    assert Checksums(cache).of([file]) == [bytes(32)], "it was computed again"
    times = file.stat()
    file.write_bytes(b"changed")  # as long, and with the old time of change
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = Checksums(cache).of([file])
    assert second != first
    assert second == Checksums().of([file])


def test_a_damaged_memory_of_hashes_is_ignored(tmp_path: Path) -> None:
    file, cache = tmp_path / "weights.bin", tmp_path / "checksums.json"
    file.write_bytes(b"weights")
    cache.write_text("{")
    assert Checksums(cache).of([file]) == Checksums().of([file])
