"""The packages that a command needs are checked before it starts, and the base package needs none of the large ones."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dolly import extras
from dolly.cli import main
from dolly.errors import EnvironmentFault
from dolly.extras import require
from dolly.pipeline import STAGES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LARGE = ("torch", "pyspark", "mlflow", "transformers", "deepspeed", "deltalake", "pandas", "fastapi")


@pytest.mark.parametrize("command", [["--help"], ["schema"], ["train", "conf/demo.yaml", "train.epoch=1"]])
def test_small_commands_import_no_large_package(command: list[str]) -> None:
    code = (
        f"import sys; from dolly.cli import main; main({command}); "
        f"print(*sorted(set({LARGE}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr.splitlines()[-1] == ""


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hides packages from `require`."""
    real = importlib.util.find_spec

    def hide(*names: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else real(name))

    return hide


@pytest.mark.parametrize(
    ("hidden", "arguments", "extra"),
    [
        ("pyspark", ["run", "conf/demo.yaml"], "spark"),
        ("markdownify", ["clean", "conf/demo.yaml"], "spark"),
        ("deepspeed", ["run", "conf/demo.yaml"], "train"),
        ("torch", ["evaluate", "conf/demo.yaml"], "train"),
        ("peft", ["plan", "conf/demo.yaml"], "train"),
        ("fastapi", ["run", "conf/demo.yaml"], "serve"),
        ("torch", ["serve", "conf/demo.yaml"], "serve"),
        ("httpx", ["chat", "conf/demo.yaml"], "serve"),
        ("uvicorn", ["route", "conf/demo.yaml"], "route"),
        ("torch", ["ask", "Why?"], "serve"),
        ("pyspark", ["maintain", "conf/demo.yaml"], "spark"),
        ("pypdfium2", ["ingest", "conf/company.yaml"], "docs"),
        ("bitsandbytes", ["train", "conf/demo.yaml", "train.method=qlora"], "qlora"),
        ("psycopg", ["train", "conf/demo.yaml", "state.tracking=postgresql://h/d"], "postgresql"),
        ("boto3", ["train", "conf/demo.yaml", "state.artifacts=s3://bucket/a"], "s3"),
        ("obstore", ["train", "conf/demo.yaml", "state.tables=s3a://bucket/t"], "s3"),
        ("obstore", ["train", "conf/demo.yaml", "state.tables=gs://bucket/t"], "gcs"),
        ("azure.storage.filedatalake", ["train", "conf/demo.yaml", "state.artifacts=abfss://c@a.dfs/a"], "azure"),
        ("google.cloud.storage", ["train", "conf/demo.yaml", "state.artifacts=gs://bucket/a"], "gcs"),
    ],
)
def test_a_missing_package_names_the_extra_before_any_work(
    hidden: str,
    arguments: list[str],
    extra: str,
    without: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    without(hidden)
    home = ["--home", str(tmp_path / "home")] if arguments[0] == "ask" else [f"home={tmp_path / 'home'}"]
    assert main([*arguments, *home]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"no Python package {hidden}" in line
    assert f"pip install 'dolly[{extra}]'" in line
    assert not (tmp_path / "home" / "mlflow.db").exists()


def test_a_package_whose_parent_is_missing_is_missing() -> None:
    with pytest.raises(EnvironmentFault, match=r"no Python package no_such_parent\.module"):
        require("spark", "json", "no_such_parent.module")


def test_the_extras_that_messages_name_exist() -> None:
    there = set(PROJECT["optional-dependencies"])
    code = "\n".join(path.read_text() for path in (ROOT / "dolly").rglob("*.py"))
    named = set(re.findall(r"dolly\[([a-z0-9]+)\]", code)) | set(re.findall(r'require\(\s*"([a-z0-9]+)"', code))
    tables = (*extras._STAGES.values(), *extras._SCHEMES.values())
    assert named | {extra for extra, _ in tables} <= there
    assert set(extras._STAGES) == set(STAGES)
