"""The storage of tables: a folder, an object store or a catalog, each a class with the protocol `Store`."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from dolly.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMES = ("s3a://", "abfss://", "gs://")
CATALOG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\.[A-Za-z_][A-Za-z0-9_]*")
# A name with more parts would pass for a folder.
NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_]*)+")

Session = Callable[[], "SparkSession"]


class Store(Protocol):
    """The tables at one address."""

    address: str
    # May Spark read the files that `deltalake` lists? If not, it uses Delta's own reader.
    lists_files: bool

    @property
    def session(self) -> Session | None:
        """Returns the session that resolves the names; None if paths are enough."""

    def location(self, table: Table) -> str:
        """Path or URI of the table, for `deltalake`."""

    def reference(self, table: Table) -> str:
        """The table in Spark SQL."""

    def exists(self, table: Table) -> bool:
        """Does the table exist?"""

    def address_without_spark(self, table: Table) -> str:
        """The address at which a process without Spark opens the table by its name.

        Raises:
            EnvironmentFault: the table can only be read through the catalog.
        """

    def locked(self, table: Table) -> AbstractContextManager[None]:
        """Admits one writer of the table at a time, also across machines."""

    def options(self) -> dict[str, str]:
        """Storage options that `deltalake` needs besides the environment variables."""

    def check(self) -> None:
        """Tests the access to the store.

        Raises:
            EnvironmentFault: the store can't be reached or written.
        """


def path_reference(location: str) -> str:
    """A table in Spark SQL by its path or URI."""
    return f"delta.`{location.replace('`', '``')}`"
