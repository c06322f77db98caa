"""Rejected rows are masked as the config says, and again when that changes; bronze keeps records as they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolly.schema import REJECTED

pytestmark = pytest.mark.spark

MAIL = "jane.doe@works.example"


def test_rejected_rows_are_masked_and_made_again_when_masking_changes(ingest: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / f"{MAIL}.jsonl").write_text(f"{json.dumps({'instruction': 'q', 'output': MAIL})}\n{{bad {MAIL}\n")
    (folder / "good.jsonl").write_text(json.dumps({"instruction": "q", "output": "a"}) + "\n")
    source = {"name": "s", "path": str(folder), "format": "jsonl"}
    ingest(source, clean={"privacy": {"action": "off"}})
    (plain,) = ingest.rows(REJECTED, "mine")
    assert plain["before"] == f"{{bad {MAIL}"
    assert plain["detail"].startswith(f"{MAIL}.jsonl: ")
    assert "2 bronze + 1 rejected" in ingest(source)
    (masked,) = ingest.rows(REJECTED, "mine")
    assert masked["before"].startswith("{bad [EMAIL_")
    assert masked["detail"].startswith("[EMAIL_")
    assert MAIL not in str(masked)
    assert masked["example_id"][16:] == plain["example_id"][16:]
    before = ingest.versions()
    assert "2 files unchanged, 0 read" in ingest(source)
    assert ingest.versions() == before
    ingest(source, clean={"privacy": {"kinds": ["PHONE"]}})
    assert ingest.rows(REJECTED, "mine")[0]["before"] == f"{{bad {MAIL}"
