"""Checks before any work that the optional packages of a command are installed.

The extras are defined in pyproject.toml: a training machine has `dolly[train]` and no Spark, a server `dolly[serve]`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from dolly.config import Config
from dolly.errors import EnvironmentFault
from dolly.state import State

_SPARK = ("spark", ("pyspark", "markdownify", "matplotlib"))
_TRAIN = ("train", ("torch", "deepspeed", "peft"))
ROUTE = ("fastapi", "httpx", "prometheus_client", "uvicorn")
SERVE = ("torch", "fastapi", "httpx", "openvino_genai", "prometheus_client", "uvicorn")
_STAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ingest": _SPARK,
    "clean": _SPARK,
    "prepare": _SPARK,
    "train": _TRAIN,
    "evaluate": ("train", ("torch",)),
    "register": ("train", ("torch", "accelerate")),
    "serve": ("serve", SERVE),
}
# Scheme → the extra, and the module that MLflow imports for it. For tables it is obstore.
_SCHEMES: dict[str, tuple[str, str]] = {
    "s3": ("s3", "boto3"),
    "s3a": ("s3", "boto3"),
    "abfs": ("azure", "azure.storage.filedatalake"),
    "abfss": ("azure", "azure.storage.filedatalake"),
    "wasbs": ("azure", "azure.storage.blob"),
    "gs": ("gcs", "google.cloud.storage"),
    "postgresql": ("postgresql", "psycopg"),
}
_DOCUMENTS = ("docs", ("bs4", "lxml", "mammoth", "pypdfium2"))


def require(extra: str, *modules: str) -> None:
    """Checks that modules can be imported, without importing them.

    Args:
        extra: the extra of pyproject.toml that installs them.
        modules: their import names.

    Raises:
        EnvironmentFault: one of them is not installed.
    """
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        raise EnvironmentFault(
            found=f"no Python package {', '.join(missing)}",
            expected=f"the packages of dolly's extra {extra}",
            fix=f"pip install 'dolly[{extra}]'",
        )


def require_for(config: Config, state: State, stages: Iterable[str]) -> None:
    """Checks the packages that the stages, the sources and the addresses of the state need.

    Raises:
        EnvironmentFault: a package is not installed.
    """
    chosen = tuple(stages)
    for stage in chosen:
        extra, modules = _STAGES[stage]
        require(extra, *modules)
    if "train" in chosen and config.train.launch.by == "spark":
        require("spark", "pyspark")
    if "train" in chosen and config.train.method == "qlora":
        require("qlora", "bitsandbytes")
    formats = {source.format for source in config.sources} if "ingest" in chosen else set()
    if "documents" in formats:
        require(_DOCUMENTS[0], *_DOCUMENTS[1])
    if "xlsx" in formats:
        require("docs", "openpyxl")
    require_for_state(state)


def require_for_state(state: State) -> None:
    """Checks the packages that the addresses of the state need.

    Raises:
        EnvironmentFault: a package is not installed.
    """
    if extra := _SCHEMES.get(_scheme(state.tables)):
        require(extra[0], "obstore")
    for address in (state.tracking, state.registry, state.artifacts or ""):
        if client := _SCHEMES.get(_scheme(address)):
            require(*client)


def _scheme(address: str) -> str:
    return address.partition("://")[0]


def is_installed(module: str) -> bool:
    """Can a module be imported? It is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent of a dotted name
        return False
