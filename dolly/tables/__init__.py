"""The only package that reads or writes Delta.

Spark jobs read and write through `SparkTables`; processes without a JVM (training, evaluation, the
command line) through `ArrowTables`. Every write is one Delta commit that can be repeated: rows are
matched by the table's key, and a commit that would change nothing is not made. On a local disk
Delta's commit is safe only within one process, so writers take a lock per table.
"""

from dolly.tables.arrow import ArrowTables
from dolly.tables.folder import Changes
from dolly.tables.spark import SparkTables


class Tables(SparkTables, ArrowTables):
    """The Delta tables under one folder, with both ways to read and write them."""


__all__ = ["Changes", "Tables"]
