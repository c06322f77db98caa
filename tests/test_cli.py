"""Wrong requests and missing things: one line that helps, the right exit code, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dolly.cli import main
from tests.support import tiny_config

ROOT = Path(__file__).parent.parent


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    text = capsys.readouterr().err.strip()
    assert len(text.splitlines()) == 1, text
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "conf/nothing.yaml"], "no file conf/nothing.yaml"),
        (["run", "conf/demo.yaml", "train.epoch=2"], "train.epoch: unknown key (nearest known: train.epochs)"),
        (["run", "conf/demo.yaml", "train.epochs=many"], "train.epochs"),
        (["run", "conf/demo.yaml", "epochs"], "expected key=value"),
        (["run", "conf/demo.yaml", "--until", "polish"], "the stage 'polish'"),
        (["run", "conf/demo.yaml", "--from", "train", "--until", "clean"], "stages in their order"),
        (["run"], "CONFIG"),
        (["fly"], "fly"),
        (["ask", "x", "--max-tokens", "0"], "max-tokens"),
    ],
)
def test_a_wrong_request_ends_with_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 2
    assert words in told(capsys)


def test_all_faults_of_a_config_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(ROOT / "conf/demo.yaml"), "train.zero=1", "seed=x", "prepare.max_token=3"]) == 2
    line = told(capsys)
    assert "3 faults" in line
    assert all(key in line for key in ("train.zero", "seed", "prepare.max_token"))


def test_a_home_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["clean", str(ROOT / "conf/demo.yaml"), f"home={tmp_path / 'file' / 'home'}"]) == 1
    assert "file, which is a file; expected the folder" in told(capsys)


@pytest.mark.parametrize("stage", ["train", "evaluate", "register"])
def test_a_stage_whose_input_is_not_there_names_the_one_to_run(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([stage, str(ROOT / "conf/demo.yaml"), f"home={tmp_path}"]) == 1
    assert "run the" in told(capsys)


def test_no_champion_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "x", "--home", str(tmp_path)]) == 1
    assert "0 registered models" in told(capsys)
    assert main(["ask", "x", "--home", str(tmp_path), "--model", "m"]) == 1
    assert "no registered model m@champion" in told(capsys)


def test_an_unknown_base_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config(tmp_path, tmp_path / "no-model")
    home = tmp_path / "new"
    for command in ("run", "prepare"):
        assert main([command, str(config), f"home={home}"]) == 1
        assert "no base model" in told(capsys)
    assert not (home / "mlflow.db").exists(), "refused before any work"


def without_java(tmp_path: Path) -> dict[str, Any]:
    """An environment in which nothing is on the PATH but the shell's basics, and no Java."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("env", "sh", "git", "uname"):
        if (place := Path("/usr/bin") / name).exists():
            (tools / name).symlink_to(place)
    return {**os.environ, "PATH": str(tools), "JAVA_HOME": str(tmp_path)}


def test_no_java_names_the_line_that_installs_it(tmp_path: Path) -> None:
    code = (
        "import sys, dolly.java as java; java._USUAL_FOLDERS = (); from dolly.cli import main; "
        f"sys.exit(main(['ingest', {str(ROOT / 'conf/demo.yaml')!r}, 'home={tmp_path / 'home'}']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=without_java(tmp_path)
    )
    assert result.returncode == 1
    assert "no Java 17" in result.stderr
    assert "apt-get install openjdk-17" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(ROOT / "conf/demo.yaml"), f"home={tmp_path}", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["tables"], ["rejected"], ["ask", "Why?"]])
def test_a_home_that_is_not_there_is_not_made_by_a_query(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--home", str(tmp_path / "typo")]) == 2
    assert "found no folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_sigterm_ends_the_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cancelled(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr("dolly.cli.app", cancelled)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["version"]) == 143
    assert "ended by SIGTERM; run the same command again" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
