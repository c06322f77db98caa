"""The rules on real records: Alpaca's known "no input" markers are all found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dolly.clean.examples import with_fixes
from dolly.clean.rules import fixes
from dolly.ingest.files import read_records

SHARED = Path(os.environ.get("DOLLY_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
ALPACA = SHARED / "alpaca" / "alpaca_2k.json"

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(not ALPACA.exists(), reason=f"no {ALPACA}; set DOLLY_SHARED_DATA"),
]


def test_alpacas_no_input_markers_are_emptied_and_nothing_else(spark: Any) -> None:
    columns: dict[str, str | None] = {name: name for name in ("instruction", "input", "output")}
    columns |= dict.fromkeys(["group", "variant", "expected", "category"])
    frame = read_records(
        spark,
        source="alpaca",
        path=str(ALPACA),
        file_format="json",
        columns=columns,
        required=["instruction", "output"],
    )
    before = {row["record_id"]: row["input"] for row in frame.collect()}
    cleaned = {row["record_id"]: row for row in with_fixes(frame, fixes(mask_emails=False)).collect()}
    assert len(before) == len(cleaned) == 2000
    plain = [key for key, text in before.items() if text.strip().lower() in ("no input", "noinput", "n/a")]
    assert len(plain) == 32
    emptied = {key for key, row in cleaned.items() if "no_input_marker" in row["fixes"]}
    assert set(plain) <= emptied
    # The others are the same two words in brackets, quotes or a short sentence.
    assert all("noinput" in before[key].lower().replace(" ", "") for key in emptied - set(plain))
    assert len(emptied) == 49
