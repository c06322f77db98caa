"""How workers are started."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dolly.train import launch


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
