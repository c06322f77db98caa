from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dolly.pipeline import STAGES

ROOT = Path(__file__).parents[1]
CODE = sorted(path for folder in ("dolly", "jobs") for path in (ROOT / folder).rglob("*.py"))
JOBS = sorted((ROOT / "jobs").glob("*.py"))
WITHOUT_SPARK = ("dolly.train.worker", "dolly.train.engine", "dolly.evaluate.stage", "dolly.serve.app")
WITHOUT_TORCH = ("dolly.clean.stage", "dolly.clean.checked", "dolly.ingest.stage", "dolly.serve.router.run")
PROBE = """
import importlib, json, sys
forbidden, *modules = sys.argv[1:]
found = {}
for module in modules:
    importlib.import_module(module)
    found[module] = forbidden in sys.modules
print(json.dumps(found))
"""


@functools.cache
def imports(forbidden: str, modules: tuple[str, ...]) -> dict[str, bool]:
    """Module → is `forbidden` loaded once it is imported, after those before it, in a fresh process?"""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, forbidden, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, bool] = json.loads(done.stdout.splitlines()[-1])
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("module", WITHOUT_SPARK)
def test_training_evaluation_and_serving_need_no_spark(module: str) -> None:
    assert not imports("pyspark", WITHOUT_SPARK)[module]


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_the_data_stages_and_the_router_need_no_torch(module: str) -> None:
    assert not imports("torch", WITHOUT_TORCH)[module]


def test_the_code_to_look_at_is_there() -> None:
    assert {"dolly/tables/spark.py", "dolly/tracking/runs.py", "jobs/ingest.py"} <= {name(path) for path in CODE}


def test_only_tables_reads_or_writes_delta() -> None:
    users = {
        name(path)
        for path in CODE
        for module in imported(ast.parse(path.read_text(encoding="utf-8")))
        if module.split(".")[0] in ("delta", "deltalake")
    }
    modules = ("arrow", "base", "objects", "small")
    assert users == {f"dolly/tables/{module}.py" for module in modules}


def test_only_tracking_starts_mlflow_runs() -> None:
    starters = {"start_run", "create_run"}
    users = {
        name(path)
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in starters)
        or (isinstance(node, ast.ImportFrom) and starters & {alias.name for alias in node.names})
    }
    assert users == {"dolly/tracking/runs.py"}


def test_each_stage_has_its_job() -> None:
    assert {path.stem for path in JOBS} == {*STAGES, "maintain"}


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_job_is_at_most_thirty_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 30
    assert f'"{path.stem}"' in text
