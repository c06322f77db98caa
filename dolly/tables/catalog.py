"""Tables in a schema of a metastore or of Unity Catalog, under the names that other engines use."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dolly.errors import EnvironmentFault
from dolly.schema import Table
from dolly.tables.folder import FolderStore
from dolly.tables.store import SCHEMES, Session, Store


class CatalogStore:
    """`catalog.schema`; Spark resolves the names and the catalog stores the locations."""

    lists_files = False

    def __init__(self, address: str, spark: Session) -> None:
        self.address = address
        self.session = spark
        self._locations: dict[str, str] = {}

    def location(self, table: Table) -> str:
        if table.name not in self._locations:
            detail = self.session().sql(f"DESCRIBE DETAIL {self.reference(table)}").select("location").collect()
            self._locations[table.name] = _plain(detail[0]["location"])
        return self._locations[table.name]

    def address_without_spark(self, table: Table) -> str:
        folder, _, name = self.location(table).rstrip("/").rpartition("/")
        if name != table.name:
            raise EnvironmentFault(
                found=f"{self.address}.{table.name} at {self.location(table)}, a folder of another name",
                expected="tables in folders named after them, which training reads without Spark",
                fix="give the schema a location: CREATE SCHEMA … LOCATION 's3a://…'",
            )
        return folder

    def reference(self, table: Table) -> str:
        return f"{_quoted(self.address)}.{table.name}"

    def exists(self, table: Table) -> bool:
        return bool(self.session().catalog.tableExists(self.reference(table)))

    def locked(self, table: Table) -> AbstractContextManager[None]:
        return self._files.locked(table) if self._files else nullcontext()

    def options(self) -> dict[str, str]:
        return self._files.options() if self._files else {}

    def check(self) -> None:
        """Looks up the schema.

        Raises:
            EnvironmentFault: there is no such catalog or schema, or the catalog is in memory.
        """
        from pyspark.errors import PySparkException

        spark, (catalog, schema) = self.session(), self.address.split(".")
        kind = spark.conf.get("spark.sql.catalogImplementation")
        if catalog == "spark_catalog" and kind == "in-memory":
            raise EnvironmentFault(
                found="a spark_catalog in memory, which forgets its tables when the session ends",
                expected="a metastore",
                fix="set spark.sql.catalogImplementation: hive in spark.conf, with the address of the metastore",
            )
        try:
            spark.sql(f"DESCRIBE SCHEMA {_quoted(self.address)}").collect()
        except PySparkException as error:
            raise EnvironmentFault(
                found=f"no schema {self.address} ({str(error).strip().splitlines()[0][:200]})",
                expected=f"the schema {schema} in the catalog {catalog}",
                fix=f"correct state.tables, or create it in Spark SQL: CREATE SCHEMA {_quoted(self.address)}",
            ) from error

    @cached_property
    def _files(self) -> Store | None:
        """The store of the schema's files, used for its locks; None if the schema has no known location."""
        rows = self.session().sql(f"DESCRIBE SCHEMA {_quoted(self.address)}").collect()
        root = next((row[1] for row in rows if row[0] == "Location"), "")
        if root.startswith("file:"):
            return FolderStore(Path(_plain(root)))
        if not root.startswith(("s3://", *SCHEMES)):
            return None
        from dolly.tables.objects import ObjectStore

        return ObjectStore(root)


def _quoted(name: str) -> str:
    return ".".join(f"`{part}`" for part in name.split("."))


def _plain(location: str) -> str:
    """The path of a `file:` URI; other URIs unchanged."""
    return unquote(urlsplit(location).path) if location.startswith("file:") else location
