"""A source of format jdbc, on a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dolly.errors import DataError, UsageError
from dolly.schema import BRONZE_EXAMPLES, REJECTED
from tests.ingest.conftest import Ingester
from tests.ingest.test_warehouse import assert_rows, source
from tests.system.servers import Postgres

pytestmark = pytest.mark.spark


@pytest.fixture
def ingest(spark: Any, tmp_path: Path) -> Ingester:
    return Ingester(spark, tmp_path / "home")


def test_a_database(ingest: Ingester, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.sql(
        "CREATE TABLE faq (q text, a text, n int, at timestamptz DEFAULT now(), price numeric(9,2), tags text[]);"
        "INSERT INTO faq (q, a, n) VALUES ('höher?', 'a, b', 1), ('東京', E'line\\nend \"x\"', NULL),"
        "('same', 'same', 2), ('same', 'same', 2)"
    )
    table = {"url": postgres.jdbc_url(), "user": postgres.user, "password_env": "FAQ_PASSWORD", "table": "faq"}
    with pytest.raises(UsageError, match="no environment variable FAQ_PASSWORD"):
        ingest(source("jdbc", jdbc=table))
    monkeypatch.setenv("FAQ_PASSWORD", postgres.password)
    ingest(source("jdbc", jdbc=table))
    assert_rows(ingest)
    before = ingest.versions()
    ingest(source("jdbc", jdbc=table))
    assert ingest.versions() == before
    postgres.sql("INSERT INTO faq (q, a) VALUES ('new', 'row')")
    assert "(+1 ~" in ingest(source("jdbc", jdbc=table))
    assert_rows(ingest, ("new", "row", ""))
    postgres.sql("DELETE FROM faq WHERE q = 'new'; UPDATE faq SET a = NULL WHERE n = 1")
    query = {key: value for key, value in table.items() if key != "table"} | {"query": "SELECT q, a, n FROM faq"}
    ingest(source("jdbc", jdbc=query) | {"name": "q"})
    assert sorted(row["output"] for row in ingest.rows(BRONZE_EXAMPLES, "q"))[0] == ""
    assert len(ingest.rows(BRONZE_EXAMPLES, "q")) == 4
    assert ingest.rows(REJECTED, "mine") == []
    monkeypatch.setenv("FAQ_PASSWORD", "wrong")
    with pytest.raises(DataError, match="password authentication failed") as caught:
        ingest(source("jdbc", jdbc=table))
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("FAQ_PASSWORD", postgres.password)
    with pytest.raises(DataError, match="nowhere"):
        ingest(source("jdbc", jdbc=table | {"table": "nowhere"}))
