"""What several tests use: a small experiment, and the command line as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dolly.clean import rules
from dolly.schema import Table
from dolly.state import State
from dolly.tables import Tables

# Data that is not the project's own; tests marked shared_data need it.
SHARED = Path(os.environ.get("DOLLY_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
SAMPLE = Path(__file__).parent.parent / "dolly" / "sample"
# Short jobs on two cores: the first compiler and the simplest collector start fastest.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# `clean.rules` for tests of what rows have to do with other rows: Spark needs seconds for the plan of all rules.
_NEEDED = ("empty_instruction", "empty_output")  # can't be off
FEW_RULES = {name: "off" for name in rules.REASONS if name not in _NEEDED}
# Of the tiny experiment: also the fixes that its rows need.
_TINY = ("control_characters", "outer_whitespace", "no_input_marker")
TINY_RULES = {name: "off" for name in FEW_RULES if name not in _TINY}


@dataclass(frozen=True)
class Run:
    """A finished `dolly run`, and the folder that it was called in."""

    config: Path
    home: Path
    called_from: Path

    @property
    def output(self) -> Path:
        """What it printed."""
        return self.config.with_suffix(".out")


def tiny_config(folder: Path, base: Path, **changes: Any) -> Path:
    """Writes an experiment on a few rows of the sample company and a tiny random model."""
    columns = {"instruction": "question", "output": "answer", "group": "fact_id", "variant": "wording"}
    config = {
        "name": "tiny",
        "home": str(folder / "home"),
        "sources": [
            {
                "name": "facts",
                "path": str(SAMPLE / "facts.csv"),
                "format": "csv",
                "columns": columns | {"expected": "fact", "category": "topic"},
                "max_groups": 8,
                "eval_variants": ["4"],
            },
            {"name": "general", "path": str(SAMPLE / "instructions.jsonl"), "format": "jsonl", "max_groups": 16},
        ],
        "spark": {"conf": {"spark.driver.extraJavaOptions": QUICK_JAVA}},
        "clean": {"rules": TINY_RULES},
        "prepare": {"max_tokens": 256, "eval_share": 0.2},
        "model": {"base": str(base)},
        "train": {"method": "full", "learning_rate": 3e-3, "epochs": 1, "batch_size": 8, "block_tokens": 512},
        "evaluate": {"max_questions": 6, "max_new_tokens": 8},
        "register": {"name": "tiny-model"},
        "cost": {"price_per_hour": 1.0, "currency": "EUR"},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config | changes))
    return path


def rows(home: Path, table: Table, **where: str) -> list[dict[str, Any]]:
    """The tiny experiment's rows of a table but for times and runs, sorted; none if there is no table."""
    tables = Tables(home / "tables")
    found = tables.read_arrow(table, scope="tiny", **where).to_pylist() if tables.exists(table) else []
    timeless = [{k: v for k, v in row.items() if k not in ("arrived_at", "run_id")} for row in found]
    return sorted(timeless, key=str)


def mlflow_client(home: Path) -> Any:
    """MLflow's client of a home: also of its registry, which would else be that of what ran last in this process."""
    import mlflow

    address = State.at(home).tracking
    return mlflow.MlflowClient(address, address)


def dolly(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end, in this folder or another."""
    return subprocess.run(
        [sys.executable, "-m", "dolly.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | environment,
        timeout=500,
    )


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
