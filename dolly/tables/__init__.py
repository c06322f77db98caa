"""The only package that reads or writes Delta.

Spark jobs read and write through `SparkTables`; processes without a JVM (training, evaluation, the
command line) through `ArrowTables`. Every write is one Delta commit that can be repeated: rows are
matched by the table's key, and a commit that would change nothing is skipped. A `Store` (a folder, an
object store or a catalog) knows the location of the tables and admits one writer of a table at a time.
"""

from dolly.tables.arrow import ArrowTables
from dolly.tables.base import Changes
from dolly.tables.opening import open_store
from dolly.tables.spark import SparkTables


class Tables(SparkTables, ArrowTables):
    """The Delta tables at one address, with both ways to read and write them."""


__all__ = ["Changes", "Tables", "open_store"]
