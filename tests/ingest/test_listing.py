from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dolly.ingest.listing import SourceFile, checksum, checksums, listed, open_regular, printable_name
from dolly.ingest.loading import balanced, load


def names(root: Path | str, *, max_bytes: int = 1000) -> dict[str, str | None]:
    found = listed(str(root), suffixes=(".jsonl",), max_bytes=max_bytes)
    assert [one.uri for one in found] == sorted(one.uri for one in found)
    return {one.uri: one.rule for one in found}


def test_all_that_a_folder_holds_is_found(tmp_path: Path) -> None:
    for name in ("a.jsonl", "_b.jsonl", ".c.jsonl", "ä 東 [x] %20 *.JSONL", "deep/er/d.jsonl", ".git/e.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "notes.txt").write_bytes(b"")
    (tmp_path / "none").write_bytes(b"")
    (tmp_path / "big.jsonl").write_bytes(b"x" * 1001)
    (tmp_path / "empty").mkdir()
    found = names(tmp_path)
    assert {uri for uri, rule in found.items() if rule is None} == {
        "a.jsonl",
        "_b.jsonl",
        ".c.jsonl",
        "ä 東 [x] %20 *.JSONL",
        "deep/er/d.jsonl",
        ".git/e.jsonl",
    }
    assert {uri: rule for uri, rule in found.items() if rule} == {
        "notes.txt": "unknown_kind",
        "none": "unknown_kind",
        "big.jsonl": "file_too_large",
    }


def test_a_name_that_cannot_be_printed_is_escaped_and_still_opens(tmp_path: Path) -> None:
    raw = [b"latin-\xe9.jsonl", b"line\nend.jsonl", b"esc\x1b[31m.jsonl", rb"back\xe9.jsonl", "\u202e.jsonl".encode()]
    for name in raw:
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    found = listed(str(tmp_path), suffixes=(".jsonl",), max_bytes=1000)
    assert len({one.uri for one in found}) == len(raw)
    assert all(one.uri.isprintable() for one in found)
    assert sorted(load(one, 1000).content for one in found) == sorted(raw)


def test_no_two_names_give_the_same_uri() -> None:
    kinds = ["\udce9", r"\xe9", "é", r"\\xe9", "e\u0301", "\n", r"\u000a", "\\"]
    assert len({printable_name(name) for name in kinds}) == len(kinds)


def test_symlinks_are_followed_only_inside_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "sub").mkdir(parents=True)
    (outside / "dir").mkdir(parents=True)
    (outside / "secret.jsonl").write_bytes(b"{}")
    (inside / "sub" / "real.jsonl").write_bytes(b"{}")
    (inside / "link.jsonl").symlink_to("sub/real.jsonl")
    (inside / "secret.jsonl").symlink_to("../out/secret.jsonl")
    (inside / "dir").symlink_to(outside / "dir")
    (inside / "broken.jsonl").symlink_to("nowhere.jsonl")
    (inside / "loop.jsonl").symlink_to("loop.jsonl")
    (inside / "sub" / "up").symlink_to("..")
    (tmp_path / "in-between").mkdir()
    (tmp_path / "in-between" / "x.jsonl").write_bytes(b"{}")
    (inside / "sibling.jsonl").symlink_to("../in-between/x.jsonl")
    assert names(inside) == {
        "broken.jsonl": "unreadable",
        "dir": "symlink_outside",
        "link.jsonl": None,
        "loop.jsonl": "not_a_file",
        "secret.jsonl": "symlink_outside",
        "sibling.jsonl": "symlink_outside",
        "sub/real.jsonl": None,
    }


def test_pipes_sockets_and_devices_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.jsonl")
        assert names(tmp_path) == {"pipe.jsonl": "not_a_file", "socket.jsonl": "not_a_file"}
    assert names("/dev/null") == {"null": "not_a_file"}


def test_what_is_put_in_a_files_place_later_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "gone"):
        with pytest.raises(OSError, match=r"symbolic|regular|No such"):
            open_regular(str(tmp_path / name))
        loaded = load(SourceFile(name, name, str(tmp_path / name)), 10)
        assert loaded.fault is not None
        assert loaded.fault.rule == "unreadable"
        assert str(tmp_path) not in loaded.fault.detail or name == "pipe"


def test_a_file_that_has_grown_is_not_read_beyond_the_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    loaded = load(SourceFile("f", "f", str(tmp_path / "f"), 4), 4)
    assert loaded.fault is not None
    assert (loaded.content, loaded.fault.rule) == (b"", "file_too_large")


def test_one_file_may_have_any_name_and_has_no_file_key(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x")
    (tmp_path / "link").symlink_to("data")
    (one,) = listed(str(tmp_path / "link"), suffixes=(".jsonl",), max_bytes=10)
    assert (one.uri, one.file_key, one.size, one.rule) == ("link", "", 1, None)
    assert checksums([one]) == {"link": checksum(b"x")}
    assert listed(str(tmp_path / "absent"), suffixes=(".jsonl",), max_bytes=10) == []


def test_work_is_spread_by_size() -> None:
    files = [SourceFile(f"{place}", "", "", size) for place, size in enumerate([90, 10, 10, 10, 30, 30])]
    groups = balanced(files, tasks=2)
    assert sorted(sum(one.size for one in group) for group in groups) == [90, 90]
    assert sorted(one.uri for group in groups for one in group) == ["0", "1", "2", "3", "4", "5"]
    assert balanced([], tasks=4) == []
