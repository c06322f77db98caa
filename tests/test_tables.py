"""Delta tables: one commit per change, none for no change, the same rows for both readers."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from dolly.errors import DataError, EnvironmentFault
from dolly.schema import BRONZE_EXAMPLES, EVALUATIONS, GOLD_EXAMPLES, REJECTED
from dolly.tables import Tables, open_store

pytestmark = pytest.mark.spark


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path / "tables")


def rejected(spark: Any, rows: list[tuple[str, str, str]]) -> Any:
    """Rows of `rejected` from (dataset, example_id, detail)."""
    full = [(dataset, row, "clean", "source", 0, "rule", "reason", detail, None, None) for dataset, row, detail in rows]
    schema = ", ".join(f"{c.name} {c.type}" for c in REJECTED.columns)
    return spark.createDataFrame(full, schema)


def details(tables: Tables, dataset: str) -> dict[str, str]:
    rows = tables.read_arrow(REJECTED, columns=["example_id", "detail"], scope=dataset).to_pylist()
    return {row["example_id"]: row["detail"] for row in rows}


def sync(tables: Tables, frame: Any, dataset: str) -> Any:
    return tables.sync(frame, REJECTED, scope={"dataset": dataset, "stage": "clean"}, writer="test")


def test_sync_makes_the_scope_equal_to_the_frame(spark: Any, tables: Tables) -> None:
    sync(tables, rejected(spark, [("other", "x", "kept")]), "other")
    sync(tables, rejected(spark, [("mine", "a", "1"), ("mine", "b", "1"), ("mine", "c", "1")]), "mine")
    changes = sync(tables, rejected(spark, [("mine", "a", "1"), ("mine", "b", "2"), ("mine", "d", "1")]), "mine")
    assert (changes.inserted, changes.updated, changes.deleted) == (1, 1, 1)
    assert details(tables, "mine") == {"a": "1", "b": "2", "d": "1"}
    assert details(tables, "other") == {"x": "kept"}


def test_sync_of_the_same_rows_makes_no_commit(spark: Any, tables: Tables) -> None:
    first = sync(tables, rejected(spark, [("mine", "a", "1"), ("mine", "b", "1")]), "mine")
    again = sync(tables, rejected(spark, [("mine", "b", "1"), ("mine", "a", "1")]), "mine")
    assert again.version == first.version
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)


def test_an_emptied_scope_is_emptied(spark: Any, tables: Tables) -> None:
    sync(tables, rejected(spark, [("mine", "a", "1")]), "mine")
    assert sync(tables, rejected(spark, []), "mine").deleted == 1
    assert details(tables, "mine") == {}


def test_the_time_of_arrival_stays_the_first(spark: Any, tables: Tables) -> None:
    schema = ", ".join(f"{c.name} {c.type}" for c in BRONZE_EXAMPLES.columns)

    def bronze(output: str, day: int) -> Any:
        texts = ["raw", "question", "", output, None, "", "", "", ""]
        arrived = dt.datetime(2026, 1, day, tzinfo=dt.UTC)
        return spark.createDataFrame([("d", "r1", "s", "private", "file", 0, *texts, 7, arrived)], schema)

    for output, day in (("old", 1), ("new", 2)):
        tables.sync(bronze(output, day), BRONZE_EXAMPLES, scope={"dataset": "d"}, writer="test")
    (row,) = tables.read_arrow(BRONZE_EXAMPLES, columns=["output", "arrived_at"], scope="d").to_pylist()
    assert row["output"] == "new"
    assert row["arrived_at"].day == 1


def test_a_pinned_version_is_read_as_it_was(spark: Any, tables: Tables) -> None:
    old = sync(tables, rejected(spark, [("mine", "a", "1")]), "mine").version
    sync(tables, rejected(spark, [("mine", "a", "2")]), "mine")
    table = tables.read_arrow(REJECTED, version=old, columns=["detail"], scope="mine")
    assert table["detail"].to_pylist() == ["1"]


def test_arrays_that_spark_wrote_are_read_without_a_jvm(spark: Any, tables: Tables) -> None:
    turns = [{"role": "user", "content": "q ✓"}, {"role": "assistant", "content": "a"}]
    values = [
        "mine",
        "e1",
        0,
        "s",
        "private",
        0,
        turns,
        "g",
        "1",
        "",
        "train",
        1,
        [1, 2, 3],
        [False, True, True],
        "p",
        "t",
    ]
    schema = ", ".join(f"{c.name} {c.type}" for c in GOLD_EXAMPLES.columns)
    tables.sync(spark.createDataFrame([tuple(values)], schema), GOLD_EXAMPLES, scope={"dataset": "mine"}, writer="test")
    (row,) = tables.read_arrow(GOLD_EXAMPLES, scope="mine").to_pylist()
    assert row["turns"] == turns
    assert row["input_ids"] == [1, 2, 3]
    assert row["loss_mask"] == [False, True, True]


def evaluation(row: str, evaluation: str = "e") -> dict[str, Any]:
    texts = {c.name: "" for c in EVALUATIONS.columns if c.type == "string"}
    rights = {"before_right": False, "after_right": None}
    return texts | rights | {"dataset": "mine", "evaluation": evaluation, "example_id": row}


def test_new_rows_are_inserted_once_and_spark_reads_them(spark: Any, tables: Tables) -> None:
    assert tables.insert_new(EVALUATIONS, [evaluation("a")], scope="mine", writer="test").inserted == 1
    second = tables.insert_new(EVALUATIONS, [evaluation("a"), evaluation("b")], scope="mine", writer="test")
    assert second.inserted == 1
    again = tables.insert_new(EVALUATIONS, [evaluation("b")], scope="mine", writer="test")
    assert (again.inserted, again.version) == (0, second.version)
    rows = tables.read(spark, EVALUATIONS).select("example_id", "after_right").collect()
    assert sorted((row[0], row[1]) for row in rows) == [("a", None), ("b", None)]


def test_rows_are_inserted_where_the_meaning_of_a_column_was_written_otherwise(tables: Tables) -> None:
    older = EVALUATIONS._replace(columns=tuple(c._replace(meaning="as it was") for c in EVALUATIONS.columns))
    tables.insert_new(older, [evaluation("a")], scope="mine", writer="old")
    assert tables.insert_new(EVALUATIONS, [evaluation("b")], scope="mine", writer="new").inserted == 1


def test_the_overview_tells_version_rows_size_and_writer(spark: Any, tables: Tables) -> None:
    sync(tables, rejected(spark, [("mine", "a", "1"), ("mine", "b", "1")]), "mine")
    (line,) = tables.overview()
    assert (line.name, line.rows, line.last_writer) == ("rejected", 2, "test")
    assert line.size > 0


def test_a_missing_table_names_the_stage_to_run(tables: Tables) -> None:
    with pytest.raises(DataError, match=r"no table gold_examples .* run the stage that writes it"):
        tables.version(GOLD_EXAMPLES)


def merge(tables: Tables, frame: Any, gone: Any = None) -> Any:
    return tables.merge(frame, REJECTED, gone=gone, scope={"dataset": "mine"}, writer="test")


def test_merge_touches_only_the_rows_it_is_given(spark: Any, tables: Tables) -> None:
    assert merge(tables, rejected(spark, [("mine", "a", "1"), ("mine", "b", "1"), ("mine", "c", "1")])).inserted == 3
    gone = rejected(spark, [("mine", "a", "")])
    changes = merge(tables, rejected(spark, [("mine", "b", "2"), ("mine", "c", "1"), ("mine", "d", "1")]), gone)
    assert (changes.inserted, changes.updated, changes.deleted) == (1, 1, 1)
    assert details(tables, "mine") == {"b": "2", "c": "1", "d": "1"}


def test_merge_of_nothing_makes_no_commit(spark: Any, tables: Tables) -> None:
    first = merge(tables, rejected(spark, [("mine", "a", "1")]))
    none = rejected(spark, [])
    assert merge(tables, none, none).version == first.version


def test_a_row_against_the_rules_of_its_table_is_refused(spark: Any, tables: Tables) -> None:
    row = ("mine", "a", "clean", "source", 0, "rule", None, "detail", None, None)
    schema = ", ".join(f"{c.name} {c.type}" for c in REJECTED.columns)
    with pytest.raises(Exception, match="has_a_reason"):
        merge(tables, spark.createDataFrame([row], schema))


def test_rows_are_counted_and_found_without_spark(spark: Any, tables: Tables) -> None:
    sync(tables, rejected(spark, [("mine", "abc", "1"), ("mine", "abd", "1")]), "mine")
    sync(tables, rejected(spark, [("other", "abc", "1")]), "other")
    assert tables.rows(REJECTED, dataset="mine") == 2
    assert tables.rows(REJECTED, dataset="mine", stage="clean") == 2
    assert tables.rows(REJECTED, dataset="mine", stage="ingest") == tables.rows(REJECTED, dataset="none") == 0
    found = tables.find(REJECTED, prefix={"example_id": "abc"}, columns=["dataset", "example_id"])
    assert sorted(row["dataset"] for row in found) == ["mine", "other"]


def test_changes_are_recorded_row_by_row(spark: Any, tables: Tables) -> None:
    merge(tables, rejected(spark, [("mine", "a", "1")]))
    last = merge(tables, rejected(spark, [("mine", "a", "2")]), rejected(spark, []))
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", last.version)
    changes = feed.load(tables.location(REJECTED)).collect()
    assert sorted((row["_change_type"], row["detail"]) for row in changes) == [
        ("update_postimage", "2"),
        ("update_preimage", "1"),
    ]


def values(tables: Tables, scope: str) -> list[tuple[Any, ...]]:
    rows = tables.read_arrow(REJECTED, scope=scope).to_pylist()
    return sorted((row["example_id"], row["stage"], row["detail"], row["before"], row["after"]) for row in rows)


def feed(spark: Any, tables: Tables) -> list[tuple[int, str, str, str]]:
    """Version, kind, id and detail of each change of `rejected`."""
    reader = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 0)
    names = ("_commit_version", "_change_type", "example_id", "detail")
    return sorted(tuple(row[name] for name in names) for row in reader.load(tables.location(REJECTED)).collect())


def test_small_changes_are_those_of_spark(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `deltalake` writes for a few rows is what a MERGE writes, in the table and in its change feed."""

    def steps(tables: Tables) -> list[tuple[int, int, int]]:
        merge(tables, rejected(spark, [("mine", "a", "1"), ("mine", "it's", "1"), ("mine", "c", "1")]))
        sync(tables, rejected(spark, [("other", "a", "1")]), "other")
        gone = rejected(spark, [("mine", "a", ""), ("mine", "not there", "")])
        last = rejected(spark, [("mine", "it's", "2"), ("mine", "g", "1")])
        done = [
            merge(tables, rejected(spark, [("mine", "it's", "2"), ("mine", "c", "1"), ("mine", "e", "ü")]), gone),
            # A value moves to the next column, where there was a null.
            sync(tables, last.withColumn("before", last["detail"]).withColumn("detail", last["after"]), "mine"),
        ]
        return [(changes.inserted, changes.updated, changes.deleted) for changes in done]

    small, large = Tables(tmp_path / "small"), Tables(tmp_path / "large")
    by_deltalake = steps(small)
    monkeypatch.setattr("dolly.tables.small._ROWS", -1)
    assert steps(large) == by_deltalake == [(1, 1, 1), (1, 1, 2)]
    engines = [tables._delta(REJECTED).history(1)[0]["engineInfo"] for tables in (small, large)]
    assert engines[0].startswith("delta-rs")
    assert engines[1].startswith("Apache-Spark")
    for scope in ("mine", "other"):
        assert values(small, scope) == values(large, scope)
    assert feed(spark, small) == feed(spark, large)


@pytest.mark.parametrize("name", ["a[1]", "a|b", "a^b", "a%41", "a\\b", "a#b", "a?b"])
def test_a_folder_that_deltalake_cannot_write_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="in the path of the tables"):
        Tables(tmp_path / name)


def test_upkeep_joins_files_and_removes_old_ones(spark: Any, tables: Tables) -> None:
    for name in "abc":
        merge(tables, rejected(spark, [("mine", name, "1")]), rejected(spark, []))
    text = tables.compact(spark, REJECTED, keep_hours=0)
    assert text.startswith("3 files joined into 1, 3 old files removed")
    assert details(tables, "mine") == {"a": "1", "b": "1", "c": "1"}


def test_a_table_of_another_version_of_the_schema_is_named(spark: Any, tables: Tables) -> None:
    other = spark.createDataFrame([("mine", "x")], "dataset string, other string")
    other.write.format("delta").partitionBy("dataset").save(tables.location(REJECTED))
    with pytest.raises(DataError, match=r"rejected in .* with no stage, no example_id; .*this table stays as it is"):
        tables.ensure(spark, REJECTED)


def test_a_table_of_an_older_version_gets_the_new_columns(spark: Any, tables: Tables) -> None:
    older = REJECTED._replace(columns=tuple(c for c in REJECTED.columns if c.name not in ("before", "position")))
    values = ("mine", "a", "clean", "source", "rule", "reason", "1", None)
    schema = ", ".join(f"{c.name} {c.type}" for c in older.columns)
    tables.merge(spark.createDataFrame([values], schema), older, scope={"dataset": "mine"}, writer="old")
    assert tables.read_arrow(REJECTED, scope="mine")["before"].to_pylist() == [None]
    assert tables.read(spark, REJECTED, dataset="mine").first()["position"] is None
    merge(tables, rejected(spark, [("mine", "b", "2")]))
    assert details(tables, "mine") == {"a": "1", "b": "2"}
    assert tables.columns(REJECTED)["before"] == "string"


def test_a_column_of_another_type_is_refused(spark: Any, tables: Tables) -> None:
    other = REJECTED._replace(
        columns=tuple(c._replace(type="string") if c.name == "position" else c for c in REJECTED.columns), checks=()
    )
    tables.ensure(spark, other)
    with pytest.raises(DataError, match=r"rejected in .* with position string; "):
        tables.ensure(spark, REJECTED)


def test_tables_that_others_made_with_deletion_vectors_and_mapped_columns_are_read_right(
    spark: Any, tables: Tables
) -> None:
    reference = tables.store.reference(REJECTED)
    tables.ensure(spark, REJECTED)
    features = "'delta.enableDeletionVectors' = 'true', 'delta.columnMapping.mode' = 'name'"
    spark.sql(f"ALTER TABLE {reference} SET TBLPROPERTIES ({features})")
    rejected(spark, [("mine", str(n), str(n)) for n in range(100)]).coalesce(1).writeTo(reference).append()
    spark.sql(f"DELETE FROM {reference} WHERE example_id = '7'")
    spark.sql(f"ALTER TABLE {reference} RENAME COLUMN detail TO detail_")
    spark.sql(f"ALTER TABLE {reference} RENAME COLUMN detail_ TO detail")
    kept = {str(n) for n in range(100)} - {"7"}
    assert set(details(tables, "mine").values()) == kept
    assert tables.rows(REJECTED, dataset="mine") == 99
    assert {row["detail"] for row in tables.read(spark, REJECTED, dataset="mine").collect()} == kept
    merge(tables, rejected(spark, [("mine", "8", "new")]), rejected(spark, [("mine", "9", "")]))
    assert details(tables, "mine")["8"] == "new"
    assert tables.rows(REJECTED, dataset="mine") == 98


def test_spark_reads_one_version_of_a_scope_in_a_folder_of_any_name(spark: Any, tmp_path: Path) -> None:
    tables = Tables(tmp_path / "tab(1) {é} 50%*")
    sync(tables, rejected(spark, [("mine", "a", "1")]), "mine")
    sync(tables, rejected(spark, [("other", "b", "1")]), "other")
    frame = tables.read(spark, REJECTED, dataset="mine")
    assert frame.columns == [column.name for column in REJECTED.columns]
    sync(tables, rejected(spark, [("mine", "c", "2")]), "mine")
    assert [(row["dataset"], row["example_id"]) for row in frame.collect()] == [("mine", "a")]
    assert tables.read(spark, REJECTED).count() == 2
    assert tables.read(spark, REJECTED, dataset="none").count() == 0
    assert tables.read_arrow(REJECTED, columns=["example_id"], scope="other").to_pylist() == [{"example_id": "b"}]
    assert tables.rows(REJECTED, dataset="mine", stage="clean") == 1
    assert [row["dataset"] for row in tables.find(REJECTED, prefix={"example_id": "b"})] == ["other"]


def test_a_catalog_that_is_not_there_is_told(spark: Any) -> None:
    with pytest.raises(EnvironmentFault, match=r"no schema nocatalog\.noschema"):
        open_store("nocatalog.noschema", lambda: spark).check()
