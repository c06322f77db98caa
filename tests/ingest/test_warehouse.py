"""Sources that are tables: read as a whole, again only when they have changed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dolly.errors import DataError, UsageError
from dolly.ingest.warehouse import database_table
from dolly.schema import BRONZE_EXAMPLES, BRONZE_FILES, REJECTED

pytestmark = pytest.mark.spark

SERVER = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
PASSWORD = "a secret: 'with' spaces"
ROWS = [("höher?", "a, b", 1), ("東京", 'line\nend "x"', None), ("same", "same", 2), ("same", "same", 2)]
COLUMNS = {"instruction": "q", "output": "a", "category": "n"}


def source(file_format: str, **more: Any) -> dict[str, Any]:
    return {"name": "s", "format": file_format, "columns": COLUMNS} | more


def assert_rows(ingest: Any, *more: tuple[str, str, str]) -> None:
    rows = ingest.rows(BRONZE_EXAMPLES, "s")
    expected = [(q, a, "" if n is None else str(n)) for q, a, n in ROWS] + list(more)
    assert sorted((row["instruction"], row["output"], row["category"]) for row in rows) == sorted(expected)
    assert sorted(row["position"] for row in rows) == list(range(len(expected)))
    assert len({row["record_id"] for row in rows}) == len(expected)


def frame(spark: Any) -> Any:
    return spark.createDataFrame(ROWS, "q string, a string, n int")


def test_parquet_and_delta(spark: Any, ingest: Any, tmp_path: Path) -> None:
    parquet, delta = str(tmp_path / "rows [1]"), str(tmp_path / "delta `x`")
    frame(spark).repartition(3).write.parquet(parquet)
    frame(spark).write.format("delta").save(delta)
    ingest(source("parquet", path=parquet), source("delta", path=delta) | {"name": "d"})
    assert_rows(ingest)
    ids = [{row["record_id"] for row in ingest.rows(BRONZE_EXAMPLES, name)} for name in ("s", "d")]
    assert [len(one) for one in ids] == [4, 4]
    before = ingest.versions()
    ingest(source("parquet", path=parquet), source("delta", path=delta) | {"name": "d"})
    assert ingest.versions() == before
    new = spark.createDataFrame([("new", "row", None), (None, None, None)], "q string, a string, n int")
    new.write.format("delta").mode("append").save(delta)
    ingest(source("delta", path=delta, version=0) | {"name": "d"})
    assert ingest.versions() == before
    assert "6 rows in = 6 bronze" in ingest(source("delta", path=delta) | {"name": "d"})
    assert ids[1] < {row["record_id"] for row in ingest.rows(BRONZE_EXAMPLES, "d")}
    assert ingest.rows(BRONZE_FILES, "d")[0]["checksum"].startswith("version 1 of ")
    with pytest.raises(DataError, match="can't be read"):
        ingest(source("delta", path=delta, version=9))
    shutil.copy(__file__, f"{parquet}/part-bad.parquet")
    with pytest.raises(DataError, match="Parquet files of one schema"):
        ingest(source("parquet", path=parquet))


def test_a_saved_data_set(ingest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list([dict(zip("qan", row, strict=True)) for row in ROWS])
    made.save_to_disk(tmp_path / "one", num_shards=3)
    datasets.DatasetDict({"train": made, "test": made.select([0])}).save_to_disk(tmp_path / "two")
    first = source("datasets", path=str(tmp_path / "one"))
    split = source("datasets", path=str(tmp_path / "two"), split="test") | {"name": "t"}
    ingest(first, split)
    assert_rows(ingest)
    assert [row["position"] for row in ingest.rows(BRONZE_EXAMPLES, "t")] == [0]
    before = ingest.versions()
    ingest(first, split)
    assert ingest.versions() == before
    with pytest.raises(DataError, match="no split dev; there are train, test"):
        ingest(split | {"split": "dev"})
    with pytest.raises(DataError, match="save_to_disk"):
        ingest(source("datasets", path=str(tmp_path)))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: made.select(range(3)))
    ingest(source("hub", path="org/name") | {"name": "h"}, allow_network=True)
    assert len(ingest.rows(BRONZE_EXAMPLES, "h")) == 3
    assert ingest.rows(BRONZE_FILES, "h")[0]["uri"] == "org_name/train"


@pytest.mark.parametrize(
    "url",
    ["jdbc:postgresql://h/d?user=u&password=x", "jdbc:postgresql://u:x@h/d", "jdbc:sqlserver://h;PASSWORD = x;"],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(spark: Any, url: str) -> None:
    with pytest.raises(UsageError, match="password_env") as caught:
        database_table(spark, url=url, table="t", query=None, user=None, password_env=None, driver="d")
    assert "x" not in str(caught.value).replace("expected", "").replace("fix", "")


@pytest.fixture(scope="module")
def psql() -> Iterator[tuple[str, Callable[[str], None]]]:
    """A PostgreSQL server of its own: its JDBC URL, and what runs SQL in it."""
    if SERVER is None:
        pytest.skip("no /usr/lib/postgresql/*/bin/initdb; install PostgreSQL")
    if os.getuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL refuses to run as root, and there is no runuser")
    folder = Path(tempfile.mkdtemp(prefix="dolly-pg-", dir="/tmp"))  # PostgreSQL's user can't enter pytest's folders
    who = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    if who:
        shutil.chown(folder, "postgres")
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        command = [*who, str(SERVER.with_name(program)), *arguments]
        subprocess.run(
            command, check=True, cwd="/", stdout=subprocess.DEVNULL, env=os.environ | {"PGPASSWORD": PASSWORD}
        )

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "faq", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-E", "UTF8", "-N")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "start", "-w", "-D", data, "-l", str(folder / "log"), "-o", options)
    try:
        yield (
            f"jdbc:postgresql://127.0.0.1:{port}/postgres",
            lambda sql: run("psql", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "faq", "-d", "postgres", "-c", sql),
        )
    finally:
        run("pg_ctl", "stop", "-m", "immediate", "-D", data)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database(ingest: Any, psql: tuple[str, Callable[[str], None]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, sql = psql
    sql(
        "CREATE TABLE faq (q text, a text, n int, at timestamptz DEFAULT now(), price numeric(9,2), tags text[]);"
        "INSERT INTO faq (q, a, n) VALUES ('höher?', 'a, b', 1), ('東京', E'line\\nend \"x\"', NULL),"
        "('same', 'same', 2), ('same', 'same', 2)"
    )
    place = {"url": url, "user": "faq", "password_env": "FAQ_PASSWORD", "table": "faq"}
    with pytest.raises(UsageError, match="no environment variable FAQ_PASSWORD"):
        ingest(source("jdbc", jdbc=place))
    monkeypatch.setenv("FAQ_PASSWORD", PASSWORD)
    ingest(source("jdbc", jdbc=place))
    assert_rows(ingest)
    before = ingest.versions()
    ingest(source("jdbc", jdbc=place))
    assert ingest.versions() == before
    sql("INSERT INTO faq (q, a) VALUES ('new', 'row')")
    assert "(+1 ~" in ingest(source("jdbc", jdbc=place))
    assert_rows(ingest, ("new", "row", ""))
    sql("DELETE FROM faq WHERE q = 'new'; UPDATE faq SET a = NULL WHERE n = 1")
    query = {key: value for key, value in place.items() if key != "table"} | {"query": "SELECT q, a, n FROM faq"}
    ingest(source("jdbc", jdbc=query) | {"name": "q"})
    assert sorted(row["output"] for row in ingest.rows(BRONZE_EXAMPLES, "q"))[0] == ""
    assert len(ingest.rows(BRONZE_EXAMPLES, "q")) == 4
    assert ingest.rows(REJECTED, "mine") == []
    monkeypatch.setenv("FAQ_PASSWORD", "wrong")
    with pytest.raises(DataError, match="password authentication failed") as caught:
        ingest(source("jdbc", jdbc=place))
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("FAQ_PASSWORD", PASSWORD)
    with pytest.raises(DataError, match="nowhere"):
        ingest(source("jdbc", jdbc=place | {"table": "nowhere"}))
