"""Tables in a folder, local or shared between machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from dolly.errors import EnvironmentFault
from dolly.schema import Table
from dolly.tables.store import path_reference

# `deltalake` turns paths into URIs: these it can't, or reads as another path.
_UNWRITABLE = re.compile(r"[#?\[\]|^\\]|%[0-9A-Fa-f]{2}")


class FolderStore:
    """A folder with a sub-folder for each table.

    Delta's commit to a file system is safe within one process only; writers therefore take a file lock.

    Raises:
        EnvironmentFault: the path has a character that `deltalake` can't read or write.
    """

    lists_files = True
    session = None

    def __init__(self, address: str | Path) -> None:
        self.address = str(address)
        self._root = Path(address)
        if found := _UNWRITABLE.search(str(self._root.absolute())):
            raise EnvironmentFault(
                found=f"{found[0]!r} in the path of the tables, {self._root}",
                expected="a path without # ? [ ] | ^ \\ or a % before two hexadecimal digits",
                fix="rename the folder, or set home or state.tables to another one",
            )

    def location(self, table: Table) -> str:
        return str(self._root / table.name)

    def address_without_spark(self, table: Table) -> str:
        return self.address

    def reference(self, table: Table) -> str:
        return path_reference(self.location(table))

    def exists(self, table: Table) -> bool:
        return (self._root / table.name / "_delta_log").is_dir()

    @contextmanager
    def locked(self, table: Table) -> Iterator[None]:
        folder = self._root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{table.name}.lock"):
            yield

    def options(self) -> dict[str, str]:
        return {}

    def check(self) -> None:
        """Does nothing: `State` has created the folder and tested the access."""
