"""A limit on tokens that costs too many of them fails the run."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.errors import DataError
from dolly.prepare.stage import _require_most

pytestmark = pytest.mark.spark

SCHEMA = "tokens int, input_ids array<int>, rule string"
# Of 20 tokens 3 are cut off and 5 rejected.
ROWS = [(10, list(range(7)), None), (5, list(range(5)), None), (5, list(range(5)), "too_many_tokens")]


def test_the_share_counts_what_is_cut_off_and_what_is_rejected(spark: Any) -> None:
    assert _require_most(spark.createDataFrame(ROWS, SCHEMA), limit=0.4) == pytest.approx(0.4)


def test_more_than_the_limit_is_an_error(spark: Any) -> None:
    with pytest.raises(DataError, match=r"40\.0%.*max_lost_share"):
        _require_most(spark.createDataFrame(ROWS, SCHEMA), limit=0.39)


def test_no_rows_lose_nothing(spark: Any) -> None:
    assert _require_most(spark.createDataFrame([], SCHEMA), limit=0.0) == 0
