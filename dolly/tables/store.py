"""Where tables are kept: a folder, an object store, a catalog. Each kind of store is one class behind `Store`."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from dolly.errors import UsageError
from dolly.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMES = ("s3a://", "abfss://", "gs://")
CATALOG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\.[A-Za-z_][A-Za-z0-9_]*")

Session = Callable[[], "SparkSession"]


class Store(Protocol):
    """The tables at one address."""

    address: str
    # May Spark read the files that `deltalake` lists? Else Delta's own reader does.
    lists_files: bool

    @property
    def session(self) -> Session | None:
        """Gives the session that knows the names; None where paths are enough."""

    def location(self, table: Table) -> str:
        """Path or URI of the table, for `deltalake`."""

    def reference(self, table: Table) -> str:
        """The table in Spark SQL."""

    def exists(self, table: Table) -> bool:
        """Has the table been made?"""

    def address_without_spark(self, table: Table) -> str:
        """An address under which a process without Spark finds the table by its name.

        Raises:
            EnvironmentFault: only the catalog can lead there.
        """

    def locked(self, table: Table) -> AbstractContextManager[None]:
        """Admits one writer of the table at a time, on whatever machine."""

    def options(self) -> dict[str, str]:
        """What `deltalake` needs to know besides the environment."""

    def check(self) -> None:
        """Fails where the store can't be reached or written.

        Raises:
            EnvironmentFault: it can't.
        """


def open_store(address: str, spark: Session | None = None) -> Store:
    """The store at an address.

    Args:
        address: an absolute folder, a URI of `SCHEMES`, or `catalog.schema`.
        spark: gives the session, which a catalog needs.

    Raises:
        UsageError: another scheme, or a catalog where there is no session.
    """
    if CATALOG_NAME.fullmatch(address):
        from dolly.tables.catalog import CatalogStore

        if spark is None:
            raise UsageError(
                found=f"the catalog {address} without a Spark session",
                expected="a command that has a config",
                fix="give the command the config: --config CONFIG",
            )
        return CatalogStore(address, spark)
    if address.startswith("s3://"):  # as catalogs and other tools write it; Spark's file system is s3a
        address = f"s3a://{address.removeprefix('s3://')}"
    if "://" not in address:
        from dolly.tables.folder import FolderStore

        return FolderStore(address)
    if not address.startswith(SCHEMES):
        raise UsageError(
            found=f"state.tables {address}",
            expected=f"a folder, catalog.schema, or a URI that begins with {', '.join(SCHEMES)}",
            fix="correct state.tables",
        )
    from dolly.tables.objects import ObjectStore

    return ObjectStore(address)


def path_reference(location: str) -> str:
    """A table in Spark SQL by its path or URI."""
    return f"delta.`{location.replace('`', '``')}`"
