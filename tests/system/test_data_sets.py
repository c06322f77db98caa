"""Two configs with equal source names in one home, whatever the order of their stages: each as in a home of its own."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dolly.config import Config
from dolly.pipeline import Context, run_stages
from dolly.schema import TABLES
from dolly.tables import Tables
from tests.support import FEW_RULES

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(1800)]

STAGES = ("ingest", "clean", "prepare")
Done = tuple[int, int]  # stages that each of the two has run


def config(name: str, folder: Path, home: Path, base: Path) -> Config:
    source = {"name": "faq", "path": str(folder / f"{name}.jsonl"), "format": "jsonl"}
    shared = {"name": "shared", "path": str(folder / "shared.jsonl"), "format": "jsonl", "visibility": "public"}
    own = {"sources": [source, shared], "prepare": {"eval_share": 0.2}, "model": {"base": str(base)}}
    own["clean"] = {"rules": FEW_RULES}
    return Config.model_validate({"name": name, "home": str(home), **own})


def write(path: Path, subject: str, rows: int) -> None:
    lines = [
        {"instruction": f"Which shelf holds part {n} of {subject}?", "output": f"{subject}: shelf {n * 37 % 101}."}
        for n in range(rows)
    ]
    path.write_text("\n".join([*map(json.dumps, lines), "{bad"]))


def contents(home: Path, dataset: str) -> dict[str, list[str]]:
    """All rows of a data set but for the times."""
    tables = Tables(home / "tables")
    rows = {
        name: tables.read_arrow(table, scope=dataset).to_pylist()
        for name, table in TABLES.items()
        if tables.exists(table)
    }
    return {
        name: sorted(str({k: v for k, v in row.items() if k != "arrived_at"}) for row in found)
        for name, found in rows.items()
    }


def test_each_order_of_stages_gives_the_tables_of_a_home_of_ones_own(
    spark: Any, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dolly.pipeline.config_session", lambda *_: spark)
    monkeypatch.setattr(Context, "stop_spark", lambda _: None)
    monkeypatch.setattr("dolly.pipeline._report", lambda _: None)  # seconds of each stage, and not what is compared
    names = ("one", "two")
    for name, rows in zip(names, (12, 17), strict=True):
        write(tmp_path / f"{name}.jsonl", name, rows)
    write(tmp_path / "shared.jsonl", "both", 5)
    expected, key = {}, None
    for name in names:
        home = tmp_path / f"home of {name}"
        home.mkdir()
        if key:
            shutil.copy2(key, home)
        run_stages(config(name, tmp_path, home, tiny_base), STAGES)
        key = home / "privacy.key"
        expected[name] = contents(home, name)
        assert len(expected[name]["gold_examples"]) > 10

    # After so many stages of each, whatever their order, both data sets have the same rows. What a stage writes follows
    # from those rows alone, so each stage is run once from each such state: 24 runs instead of the 68 of all 20 orders.
    first = tmp_path / "home-00"
    first.mkdir()
    assert key
    shutil.copy2(key, first)
    homes: dict[Done, Path] = {(0, 0): first}
    for done in product(range(len(STAGES) + 1), repeat=2):
        for side in (0, 1):
            if done[side] == len(STAGES):
                continue
            after = (done[0] + (side == 0), done[1] + (side == 1))
            home = tmp_path / f"home-{after[0]}{after[1]}-by-{side}"
            shutil.copytree(homes[done], home)
            run_stages(config(names[side], tmp_path, home, tiny_base), (STAGES[done[side]],))
            if after in homes:
                for name in names:
                    assert contents(home, name) == contents(homes[after], name), (after, name)
            homes.setdefault(after, home)
    for name in names:
        assert contents(homes[3, 3], name) == expected[name]
