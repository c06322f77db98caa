"""Files of an object store or cluster file system, listed and read by Spark.

Spark skips names that begin with "_" or "."; for these stores there is no other way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dolly.errors import DataError
from dolly.ingest.listing import SourceFile, judged, printable_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def remote_files(spark: SparkSession, root: str, *, suffixes: tuple[str, ...], max_bytes: int) -> list[SourceFile]:
    """The files at the URI of a file or a folder, sorted by path.

    Args:
        spark: the session.
        root: the URI.
        suffixes: lower-case suffixes of a folder's files.
        max_bytes: size from which a file gets `file_too_large`.

    Raises:
        DataError: there is nothing, or it can't be listed.
    """
    from pyspark.errors import PySparkException

    try:
        entries = _binary(spark, [root]).select("path", "length").collect()
    except PySparkException as error:
        raise DataError(
            found=f"{root} can't be listed ({first_line(error)})",
            expected="a file or folder that Spark can read",
            fix="correct the path, or give Spark the store's jars and credentials by spark.conf",
        ) from error
    top = _path(root).rstrip("/")
    files = []
    for entry in entries:
        path = _path(entry["path"])
        if path == top:
            uri, file_key = printable_name(path.rpartition("/")[2]), ""
        else:
            uri = file_key = printable_name(path.removeprefix(top + "/"))
        file = SourceFile(uri, file_key, _with_slashes(entry["path"]), entry["length"])
        files.append(judged(file, suffixes if file_key else ("",), max_bytes))
    return sorted(files)


def remote_contents(spark: SparkSession, paths: list[str]) -> DataFrame:
    """`path` and `content` of each of the files."""
    from pyspark.sql import functions as F

    bare = F.regexp_replace("path", "^([a-z0-9]+):/(?!/)", "$1:///")
    # Spark would read []{}*? in a path as a pattern.
    literal = [re.sub(r"([\[\]{}*?\\])", r"\\\1", path) for path in paths]
    return _binary(spark, literal).select(bare.alias("path"), "content")


def remote_checksums(spark: SparkSession, files: list[SourceFile]) -> dict[str, str]:
    """uri → sha256 of each file, computed on the executors."""
    from pyspark.sql import functions as F

    uris = {file.path: file.uri for file in files}
    rows = remote_contents(spark, list(uris)).select("path", F.sha2("content", 256).alias("checksum")).collect()
    return {uris[row["path"]]: row["checksum"] for row in rows}


def first_line(error: BaseException) -> str:
    """The messages of an exception of Spark or of the JVM and of its first cause, without traces."""
    java = getattr(error, "java_exception", None)
    step = java or getattr(error, "_origin", None)
    texts = [str(java.getMessage() if java else error)]
    while step is not None:
        step, cause = step.getCause(), step
        if step is None:
            texts.append(str(cause.getMessage()))
    return ": ".join(dict.fromkeys((text.strip().splitlines() or ["no message"])[0][:200] for text in texts))


def _binary(spark: SparkSession, paths: list[str]) -> DataFrame:
    return spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(paths)


def _path(uri: str) -> str:
    """The path of a URI; unlike urlsplit it takes no part of a name for a query."""
    return re.sub(r"^[A-Za-z0-9+.-]+:(//[^/]*)?", "", uri)


def _with_slashes(path: str) -> str:
    """Spark writes file:/a for file:///a."""
    scheme, _, rest = path.partition(":")
    return path if rest.startswith("//") else f"{scheme}://{rest}"
