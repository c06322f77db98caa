"""Locations of everything that runs write: tables, tracking, registry, artifacts, checkpoints, logs, privacy key.

By default everything is in one folder, `home`; the config's section `state` moves parts of it elsewhere.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from dolly.config import Config
from dolly.errors import EnvironmentFault, UsageError

_LEAST_FREE = 100_000_000


@dataclass(frozen=True)
class State:
    """The addresses of tables, tracking, registry, artifacts and checkpoints.

    `tables` is a folder, an object store's URI or `catalog.schema`; `tracking` and `registry` are MLflow's URIs;
    `artifacts` is a URI, None if the tracking server decides; `checkpoints` is a folder that all training
    processes share.
    """

    home: Path
    tables: str
    tracking: str
    registry: str
    artifacts: str | None
    checkpoints: Path

    @classmethod
    def of(cls, config: Config) -> State:
        """The addresses of a config with absolute paths; creates the folders.

        If the config does not set tracking or registry, MLflow's environment variables do.

        Raises:
            EnvironmentFault: a folder can't be written.
        """
        home, asked = Path(config.home).expanduser().resolve(), config.state
        tracking = _store(asked.tracking or os.environ.get("MLFLOW_TRACKING_URI"), home / "mlflow.db")
        served = tracking.startswith(("http://", "https://"))
        default = None if served else (home / "artifacts").as_uri()
        state = cls(
            home=home,
            tables=asked.tables or str(home / "tables"),
            tracking=tracking,
            registry=_store(asked.registry or os.environ.get("MLFLOW_REGISTRY_URI") or tracking, home),
            artifacts=_artifacts(asked.artifacts) if asked.artifacts else default,
            checkpoints=Path(asked.checkpoints or home / "checkpoints"),
        )
        state._make_folders()
        return state

    @classmethod
    def at(cls, home: str | Path, *, create: bool = True) -> State:
        """The addresses of a home folder without a config; creates the folders.

        Args:
            home: the folder.
            create: may it be a new one?

        Raises:
            EnvironmentFault: a folder can't be written.
            UsageError: there is no such home.
        """
        root = Path(home).expanduser().resolve()
        if not create and not root.exists():
            raise UsageError(
                found=f"no folder {root}",
                expected="the home of a finished run",
                fix="name it with --home, or its config with --config; dolly run CONFIG makes one",
            )
        tracking = _store(None, root / "mlflow.db")
        artifacts = (root / "artifacts").as_uri()
        state = cls(root, str(root / "tables"), tracking, tracking, artifacts, root / "checkpoints")
        state._make_folders()
        return state

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def spark_log(self) -> Path:
        """The log of the JVM."""
        return self.logs / "spark.log"

    @property
    def privacy_key(self) -> Path:
        """The key of the pseudonyms, unless the config names another file."""
        return self.home / "privacy.key"

    @property
    def engines(self) -> Path:
        """Folder of the models that were converted for an engine."""
        return self.home / "engines"

    @property
    def api_keys(self) -> Path:
        """The hashes of the server's API keys."""
        return self.home / "api_keys.json"

    def require_room(self) -> None:
        """Refuses to start on a full disk, which MLflow and Spark would report as other faults.

        Raises:
            EnvironmentFault: a disk has less than 100 MB free.
        """
        folders = {self.home, self.checkpoints} | ({Path(self.tables)} if _is_folder(self.tables) else set())
        for folder in sorted(folders):
            if (free := shutil.disk_usage(folder).free) < _LEAST_FREE:
                raise EnvironmentFault(
                    found=f"{free / 1e6:.0f} MB free on the disk of {folder}",
                    expected=f"{_LEAST_FREE / 1e6:.0f} MB at least",
                    fix="free some room, or set home or a key of state to a folder on another disk",
                )

    def _make_folders(self) -> None:
        folders = [self.home, self.logs, self.checkpoints]
        folders += [Path(self.tables)] if _is_folder(self.tables) else []
        if self.artifacts and self.artifacts.startswith("file:///"):
            folders.append(Path(url2pathname(urlsplit(self.artifacts).path)))
        for folder in folders:
            if (file := _file_on_the_way(folder)) is not None:
                raise EnvironmentFault(
                    found=f"{file}, which is a file",
                    expected=f"the folder {folder}",
                    fix="set home or a key of state to another folder, or move the file away",
                )
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / ".writable"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise EnvironmentFault(
                    found=f"the folder {folder} can't be written ({error.strerror})",
                    expected="a folder on a disk with room that this user may write",
                    fix="set home or a key of state to another folder, or change its permissions",
                ) from error


def _file_on_the_way(folder: Path) -> Path | None:
    """The folder or the nearest parent that exists, if that is no folder."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return None if nearest.is_dir() else nearest


def _is_folder(address: str) -> bool:
    return address.startswith("/")


def _store(address: str | None, default: Path) -> str:
    """MLflow's URI of a SQLite file, a server or a database."""
    address = address or str(default)
    return address if "://" in address or address.startswith("databricks") else sqlite_uri(address)


def sqlite_uri(file: Path | str) -> str:
    """MLflow's URI of a SQLite file; SQLAlchemy decodes percent signs in it."""
    return f"sqlite:///{str(file).replace('%', '%25')}"


def sqlite_file(uri: str) -> Path:
    """The file of a SQLite URI."""
    return Path(unquote(uri.removeprefix("sqlite:///")))


def _artifacts(address: str) -> str:
    return address if "://" in address else Path(address).as_uri()
