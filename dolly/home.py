"""The one folder that holds all that runs write; deleting it is a clean start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dolly.errors import EnvironmentFault


@dataclass(frozen=True)
class Home:
    """Paths under `root` (absolute)."""

    root: Path

    @classmethod
    def open(cls, root: str | Path) -> Home:
        """Makes the folders.

        Raises:
            EnvironmentFault: the place can't be written.
        """
        home = cls(Path(root).expanduser().resolve())
        try:
            for folder in (home.tables, home.artifacts, home.checkpoints, home.logs):
                folder.mkdir(parents=True, exist_ok=True)
            probe = home.root / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise EnvironmentFault(
                found=f"the home folder {home.root} can't be written ({error.strerror})",
                expected="a folder on a disk with room that this user may write",
                fix="set home=FOLDER to another place or change its permissions",
            ) from error
        return home

    @property
    def tables(self) -> Path:
        return self.root / "tables"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def spark_log(self) -> Path:
        """What the JVM prints."""
        return self.logs / "spark.log"

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"
