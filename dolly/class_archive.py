"""An archive of Spark's classes, with which Java starts in half the time.

Java maps the archive into memory instead of reading and verifying thousands of classes in jars (class data sharing,
https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html). Two cores, start of a session: 4.4 s, not 8.6 s.
Java ignores an archive that another Java made, or that was made of other jars.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dolly.installed import shared_folder
from dolly.java import find_java

if TYPE_CHECKING:
    import pyarrow as pa


def archive(java: Path) -> Path | None:
    """The archive for this Java and the installed Spark; None if there is none."""
    # Java crashes on a file that is cut off, so the name has the size.
    files = _folder().glob(f"{_makers(java)}-*.jsa")
    return next((file for file in files if file.stem.endswith(f"-{file.stat().st_size}")), None)


def java_options(java: Path) -> str:
    """The options with which Java uses the archive; empty if there is none."""
    file = archive(java)
    # Without its log, Java would print a line if it can't use the archive, e.g. with a heap above 32 GB.
    return f'"{_use(file)}" -Xlog:disable -Xlog:all=error:stderr' if file else ""


def make_archive() -> bool:
    """Makes the archive unless it exists, from the classes that a few small jobs load; needs no network.

    Returns:
        Whether it exists now: a Java without class data sharing makes none.
    """
    java = find_java()
    if java is None:
        return False
    if archive(java) is None:
        _folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_folder()) as scratch:
            made = Path(scratch, "made.jsa")
            runs = (
                [sys.executable, "-m", "dolly.class_archive", scratch],
                [str(java / "bin" / "java"), _use(made), "-version"],
            )
            if all(subprocess.run(run, capture_output=True, check=False).returncode == 0 for run in runs):
                made.rename(_folder() / f"{_makers(java)}-{made.stat().st_size}.jsa")
    return archive(java) is not None


def _folder() -> Path:
    return shared_folder() / "classes"


def _makers(java: Path) -> str:
    """Hash of the Java and the Spark that an archive is for."""
    import pyspark  # its version, and not that of a package: it may come from SPARK_HOME

    release = java / "release"
    text = f"{java.resolve()} {release.read_text() if release.is_file() else ''} {pyspark.__version__}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _use(file: Path) -> str:
    return f"-XX:SharedArchiveFile={file}"


def _load_classes(scratch: Path) -> None:
    """Runs jobs like those of the data stages in a Java that writes the archive when it ends."""
    from dolly.spark import start_session

    options = f'"-XX:ArchiveClassesAtExit={scratch}/made.jsa"'
    session = start_session(
        master="local[2]",
        driver_memory="1g",
        shuffle_partitions=2,
        conf={"spark.driver.extraJavaOptions": options},
        log=scratch / "spark.log",
    )
    table = f"delta.`{scratch}/table`"
    session.sql(f"CREATE TABLE {table} (k STRING, v ARRAY<STRING>, n BIGINT) USING delta PARTITIONED BY (k)")
    rows = session.sql("SELECT cast(id % 3 AS STRING) k, split(cast(id AS STRING), '1') v, id n FROM range(100)")
    rows.writeTo(table).append()
    session.sql(
        f"MERGE INTO {table} t USING (SELECT '1' k, array('a') v, 4L n) s ON t.k = s.k AND t.n = s.n "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    counts = session.read.parquet(*session.read.format("delta").load(f"{scratch}/table").inputFiles())
    counts = counts.groupBy("n").count().persist()
    counts.join(rows, "n", "left_anti").mapInArrow(_same, "n BIGINT, count BIGINT").toArrow()
    process = session.sparkContext._gateway.proc  # type: ignore[union-attr]
    session.stop()
    process.stdin.close()  # ends Java, which then writes the archive
    sys.exit(process.wait() or not (scratch / "made.jsa").is_file())


def _same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return batches


if __name__ == "__main__":
    _load_classes(Path(sys.argv[1]))
