"""Locations of installed jars and models."""

from __future__ import annotations

import sys
from pathlib import Path

from dolly.errors import EnvironmentFault

DELTA_COORDINATES = "io.delta:delta-spark_4.2_2.13:4.4.0"


def shared_folder() -> Path:
    """The folder of jars and models, in the virtual environment."""
    return Path(sys.prefix) / "share" / "dolly"


def delta_jars() -> list[Path]:
    """The jars that Spark needs for Delta, and those of database drivers.

    Raises:
        EnvironmentFault: set-up has not fetched them.
    """
    jars = sorted((shared_folder() / "jars").glob("*.jar"))
    if not jars:
        raise EnvironmentFault(
            found=f"no jars in {shared_folder() / 'jars'}",
            expected=f"those of {DELTA_COORDINATES}",
            fix="run make setup (once, with the network)",
        )
    return jars


def s3_jars() -> list[Path]:
    """The jars that Spark needs for S3.

    Raises:
        EnvironmentFault: set-up has not fetched them.
    """
    jars = sorted((shared_folder() / "jars-s3").glob("*.jar"))
    if not jars:
        raise EnvironmentFault(
            found=f"no jars in {shared_folder() / 'jars-s3'}",
            expected="those of hadoop-aws, for s3a:// addresses",
            fix="run dolly setup --s3 (once, with the network)",
        )
    return jars


def installed_model(name: str) -> Path | None:
    """Folder of a model that set-up installed, by name."""
    folder = shared_folder() / "models" / name
    return folder if (folder / "config.json").is_file() else None
