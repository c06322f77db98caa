"""Tables in an object store: S3, Azure or Google Cloud. Credentials come from the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dolly.errors import EnvironmentFault
from dolly.schema import Table
from dolly.tables.lease import Lease
from dolly.tables.store import path_reference

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

_PROBE = "_locks/probe"
# An unreachable store fails the run within this time, not after minutes.
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


class ObjectStore:
    """A URI with a prefix for each table.

    Spark writes a commit to S3 unconditionally, so that two writers could overwrite each other's commits. Writers
    therefore take a lease: an object that is only written conditionally.
    """

    lists_files = False
    session = None

    def __init__(self, address: str) -> None:
        # Catalogs and other tools write s3://; Spark's file system is s3a.
        self.address = address.replace("s3://", "s3a://").rstrip("/")

    def location(self, table: Table) -> str:
        return f"{self.address}/{table.name}"

    def address_without_spark(self, table: Table) -> str:
        return self.address

    def reference(self, table: Table) -> str:
        return path_reference(self.location(table))

    def exists(self, table: Table) -> bool:
        from deltalake import DeltaTable

        return bool(DeltaTable.is_deltatable(self.location(table), storage_options=self.options()))

    @contextmanager
    def locked(self, table: Table) -> Iterator[None]:
        with Lease(self._bucket, f"_locks/{table.name}").held():
            yield

    def options(self) -> dict[str, str]:
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        return {"aws_allow_http": "true"} if plain and self.address.startswith("s3a://") else {}

    def check(self) -> None:
        """Writes a small object.

        Raises:
            EnvironmentFault: the store does not answer or refuses the write.
        """
        try:
            self._bucket.put(_PROBE, b"")
        except Exception as error:  # obstore's exceptions have no common base class
            raise EnvironmentFault(
                found=f"{self.address} can't be written ({_first_line(error)})",
                expected="an object store that answers and lets these credentials write",
                fix="check state.tables, the server, and the credentials in the environment, e.g. AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL",
            ) from error

    @cached_property
    def _bucket(self) -> Bucket:
        from obstore.store import from_url

        client: Any = {"allow_http": True} if self.options() else {}
        retries: Any = _RETRIES
        return from_url(self.address, client_options=client, retry_config=retries)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
