"""The archive of Spark's classes is used where it fits, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dolly.class_archive import _makers, archive, java_options
from dolly.java import find_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.spark
def test_sessions_start_with_the_archive_that_set_up_made(spark: SparkSession) -> None:
    java = find_java()
    assert java is not None
    assert spark.sparkContext._jvm is not None
    given = spark.sparkContext._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments()
    assert f"-XX:SharedArchiveFile={archive(java)}" in list(given)


def test_an_archive_of_another_java_or_cut_off_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dolly.class_archive.shared_folder", lambda: tmp_path)
    java = tmp_path / "java"
    java.mkdir()
    (java / "release").write_text("17.0.1")
    assert archive(java) is None
    assert java_options(java) == ""

    made = tmp_path / "classes" / f"{_makers(java)}-5.jsa"
    made.parent.mkdir()
    made.write_bytes(b"12345")
    assert archive(java) == made
    assert str(made) in java_options(java)
    made.write_bytes(b"1234")
    assert archive(java) is None
    made.write_bytes(b"12345")
    (java / "release").write_text("17.0.2")
    assert archive(java) is None
