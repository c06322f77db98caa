"""From an address of the config to the store there; a store's own packages are imported when it is opened."""

from __future__ import annotations

from dolly.errors import UsageError
from dolly.tables.store import CATALOG_NAME, NAMES, SCHEMES, Session, Store


def open_store(address: str, spark: Session | None = None) -> Store:
    """The store at an address.

    Args:
        address: an absolute folder, a URI of `SCHEMES`, or `catalog.schema`.
        spark: returns the session, which a catalog needs.

    Raises:
        UsageError: another scheme, or a catalog without a session.
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
    if NAMES.fullmatch(address):
        raise UsageError(
            found=f"state.tables {address}, a name of {address.count('.') + 1} parts",
            expected="catalog.schema, or a folder's path with a /",
            fix="leave out the table's name, or write ./ before a folder",
        )
    if "://" not in address:
        from dolly.tables.folder import FolderStore

        return FolderStore(address)
    if not address.startswith(("s3://", *SCHEMES)):
        raise UsageError(
            found=f"state.tables {address}",
            expected=f"a folder, catalog.schema, or a URI that begins with {', '.join(SCHEMES)}",
            fix="correct state.tables",
        )
    from dolly.tables.objects import ObjectStore

    return ObjectStore(address)
